"""When padding is left out of a compiled call, and where the other tokens then lie."""

from __future__ import annotations

from typing import Any

from distilbert_common import DistilBertConfig
from distilbert_common.checks import Unpad
from distilbert_common.unpadding import is_read, pack_batch
from distilbert_tf.checks import concrete
from distilbert_tf.layout import Unpadded

__all__ = ["without_padding"]

Arguments = dict[str, Any]

TENSORS = {"input_ids", "attention_mask", "position_ids", "token_type_ids", "labels"}
"""The tensors of a call whose padding may be left out."""


def without_padding(model: Any, arguments: Arguments, unpad: Unpad) -> Arguments:
    """Return a call's arguments with a layout in the place of the mask, where that pays and no padding is read.

    Args:
        model: Knows which padding it reads.
        arguments: The arguments of the call by name.
        unpad: Whether padding is left out; "auto" where nothing reads it. Where that would not pay it is computed,
            and with True the model fills it afterwards, which gives the same numbers.

    Returns:
        The arguments; the same dict where padding has to be computed.
    """
    config: DistilBertConfig = model.config
    tensors = {name for name, value in arguments.items() if hasattr(value, "shape")}
    mask, attentions = concrete(arguments.get("attention_mask")), arguments.get("output_attentions")
    attentions = config.output_attentions if attentions is None else attentions
    if unpad is False or attentions or config.attn_implementation == "eager":
        return arguments
    if mask is None or mask.ndim != 2 or "input_ids" not in tensors or (unpad is not True and not tensors <= TENSORS):
        return arguments
    is_token = mask != 0  # (batch, seq)
    if is_token.shape != tuple(arguments["input_ids"].shape) or (
        unpad is not True and is_read(~is_token, model.reads(arguments))
    ):
        return arguments
    packing = pack_batch(is_token, int(is_token.sum(1).max()), rounded=False)
    if packing is None:
        return arguments
    return {name: value for name, value in arguments.items() if name != "attention_mask"} | {
        "layout": Unpadded(*packing)
    }
