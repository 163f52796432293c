"""Leaving padding out: the layers see rows packed with real tokens, and a padded batch comes back.

Tokens lie in rows, as segments, and not end to end as in PyTorch: attention is one product over all rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from distilbert_common import DistilBertConfig
from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.unpadding import Packing, pack_batch
from distilbert_tf.arrays import Tensor
from distilbert_tf.checks import concrete

Arrays = dict[str, Any]

_KNOWN = {"input_ids", "attention_mask", "position_ids", "token_type_ids", "labels"}


def take(at: Packing, x: Tensor) -> Tensor:
    """(batch or 1, seq) -> (rows, length)."""
    flat = ops.reshape(ops.broadcast_to(x, ops.shape(at.back)), (-1,))  # (batch * seq,)
    return ops.take(flat, at.places, axis=0)


def put_back(at: Packing, x: Tensor) -> Tensor:
    """(rows, length, dim) -> (batch, seq, dim), 0 where there is no token."""
    flat = ops.reshape(x, (-1, x.shape[-1]))  # (rows * length, dim)
    found = ops.take(flat, ops.maximum(at.back, 0), axis=0)  # (batch, seq, dim)
    return ops.where(ops.expand_dims(at.back >= 0, -1), found, ops.zeros_like(found))


def filled_at_padding(
    x: Tensor, attention_mask: Tensor | Packing | None, segment_ids: Tensor | None, fill: float
) -> Tensor:
    """(batch, seq, …) -> the same with `fill` at the padding that layers did not see; where they did, x stays."""
    if isinstance(attention_mask, Packing):
        real = attention_mask.back >= 0  # (batch, seq)
    elif segment_ids is not None:
        real = ops.not_equal(segment_ids, 0)  # (batch, seq)
    else:
        return x
    return ops.where(ops.expand_dims(real, -1), x, ops.cast(fill, x.dtype))


def without_padding(arguments: Arrays, head: str, config: DistilBertConfig) -> Arrays:
    """Put a packing in the place of the mask where that pays and nothing that is asked for depends on padding.

    Args:
        arguments: The arguments of one call by name; with other tensors than ids, mask, positions and labels, padding
            stays.
        head: What the model is for.
        config: The model's config.

    Returns:
        The arguments, the same dict where padding has to be computed.
    """
    given = {name for name, value in arguments.items() if hasattr(value, "shape")}
    mask, attentions = concrete(arguments.get("attention_mask")), arguments.get("output_attentions")
    attentions = config.output_attentions if attentions is None else attentions
    if mask is None or mask.ndim != 2 or "input_ids" not in given or not given <= _KNOWN or attentions:
        return arguments
    real = mask != 0  # (batch, seq)
    if real.shape != tuple(arguments["input_ids"].shape) or sees_padding(real, head, arguments.get("labels")):
        return arguments
    packing = None if config.attn_implementation == "eager" else pack_batch(real, int(real.sum(1).max()), rounded=False)
    return arguments if packing is None else {**arguments, "attention_mask": packing}


def sees_padding(real: np.ndarray, head: str, labels: Tensor | None) -> bool:
    """Whether a head's output depends on padding: on labelled places, or on a first token that is masked."""
    if head == "ForSequenceClassification":
        return not real[:, :1].all()
    values = concrete(labels)
    return values is not None and bool((~real & (values != IGNORE_INDEX)).any())
