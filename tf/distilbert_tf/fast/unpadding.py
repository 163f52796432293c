"""When padding is left out of the computation, and where the other tokens then lie."""

from __future__ import annotations

from typing import Any

from distilbert_common import DistilBertConfig
from distilbert_common.checks import Unpad
from distilbert_common.unpadding import is_read, pack_batch
from distilbert_tf.checks import concrete
from distilbert_tf.layout import Unpadded

__all__ = ["choose_layout"]

TENSORS = {"input_ids", "attention_mask", "position_ids", "token_type_ids", "labels"}
"""The tensors of a call whose padding may be left out."""


def choose_layout(model: Any, arguments: dict[str, Any], unpad: Unpad) -> Unpadded | None:
    """Return how the tokens of a call lie without padding; None where padding is computed.

    Args:
        model: Knows which padding it reads.
        arguments: The arguments of the call by name.
        unpad: Whether padding is left out; "auto" where nothing reads it. Where that would not pay it is computed,
            and with True the model fills it afterwards, which gives the same numbers.
    """
    config: DistilBertConfig = model.config
    tensors = {name for name, value in arguments.items() if hasattr(value, "shape")}
    mask, attentions = concrete(arguments.get("attention_mask")), arguments.get("output_attentions")
    attentions = config.output_attentions if attentions is None else attentions
    if unpad is False or attentions or config.attn_implementation == "eager":
        return None
    if mask is None or mask.ndim != 2 or "input_ids" not in tensors or (unpad is not True and not tensors <= TENSORS):
        return None
    is_token = mask != 0  # (batch, seq)
    if is_token.shape != tuple(arguments["input_ids"].shape) or (
        unpad is not True and is_read(~is_token, model.reads(arguments))
    ):
        return None
    packing = pack_batch(is_token, int(is_token.sum(1).max()), rounded=False)
    return None if packing is None else Unpadded(*packing)
