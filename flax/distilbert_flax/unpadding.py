"""Leaving padding out: the layers see rows packed with real tokens, and a padded batch comes back.

Where compiled code must have few shapes, tokens cannot lie end to end as in PyTorch: they lie in rows, as segments.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from distilbert_common import DistilBertConfig
from distilbert_common.buckets import bucket
from distilbert_common.unpadding import UNPAD_THRESHOLD, Packing, pack_batch, power_of_two
from distilbert_flax.bucketing import SMALLEST_LENGTH, pad_to

Arrays = dict[str, Any]

_KNOWN = {"input_ids", "attention_mask", "position_ids", "token_type_ids"}


def take(at: Packing, x: Array) -> Array:
    """(batch or 1, seq) -> (rows, length)."""
    return jnp.broadcast_to(x, at.back.shape).reshape(-1)[at.places]


def put_back(at: Packing, x: Array) -> Array:
    """(rows, length, dim) -> (batch, seq, dim), 0 where there is no token."""
    found = x.reshape(-1, x.shape[-1])[jnp.maximum(at.back, 0)]  # (batch, seq, dim)
    return jnp.where((at.back >= 0)[:, :, None], found, 0)


def filled_at_padding(
    logits: Array, attention_mask: Array | Packing | None, segment_ids: Array | None, fill: float
) -> Array:
    """(batch, seq, …) -> the same with `fill` at the padding that layers did not see; where they did, logits stay."""
    if isinstance(attention_mask, Packing):
        real = attention_mask.back >= 0  # (batch, seq)
    elif segment_ids is not None:
        real = jnp.asarray(segment_ids) != 0  # (batch, seq)
    else:
        return logits
    return jnp.where(real[:, :, None], logits, jnp.asarray(fill, logits.dtype))


def without_padding(arrays: Arrays, flags: Arrays, head: str, config: DistilBertConfig) -> Arrays:
    """Put a packing in the place of the mask where that pays and nothing that is asked for depends on padding.

    Args:
        arrays: The inputs of one call by name; with others than ids, mask and positions, as labels, padding stays.
        flags: The other arguments.
        head: What the model is for; to classify a sequence takes its first token, padding or not.
        config: The model's config.

    Returns:
        The inputs, rounded up to buckets; the same dict where padding has to be computed.
    """
    ids, mask = arrays.get("input_ids"), arrays.get("attention_mask")
    if ids is None or mask is None or ids.ndim != 2 or mask.shape != ids.shape or not arrays.keys() <= _KNOWN:
        return arrays
    attentions = flags.get("output_attentions")
    attentions = config.output_attentions if attentions is None else attentions
    longest = config.max_position_embeddings
    if attentions or config.attn_implementation == "eager" or ids.shape[1] > longest:
        return arrays
    real = np.asarray(mask) != 0  # (batch, seq)
    if not real.size or real.mean() > UNPAD_THRESHOLD or (head == "ForSequenceClassification" and not real[:, 0].all()):
        return arrays
    seq = (
        bucket(ids.shape[1], SMALLEST_LENGTH, longest) if head == "ForMaskedLM" else power_of_two(ids.shape[1], longest)
    )
    size = (bucket(ids.shape[0]), seq)
    packing = pack_batch(pad_to(real, ids.shape, size), power_of_two(int(real.sum(axis=1).max()), longest))
    if packing is None or packing.places.size > UNPAD_THRESHOLD * real.size:
        return arrays
    padded = {name: pad_to(array, ids.shape, size) for name, array in arrays.items()}
    return {**padded, "attention_mask": packing}
