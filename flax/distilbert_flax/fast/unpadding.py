"""When padding is left out of a compiled call: the tokens then lie in rows, whose sizes are rounded up to buckets."""

from __future__ import annotations

from typing import Any

import numpy as np

from distilbert_common.buckets import bucket
from distilbert_common.checks import Unpad
from distilbert_common.constants import UNPAD_THRESHOLD
from distilbert_common.unpadding import is_read, pack_batch, power_of_two
from distilbert_flax.fast.bucketing import MIN_BUCKET_LENGTH, pad_to
from distilbert_flax.layout import Unpadded

__all__ = ["without_padding"]

Arrays = dict[str, Any]

_GATHERED = {"input_ids", "attention_mask", "position_ids", "token_type_ids"}


def without_padding(model: Any, arrays: Arrays, unpad: Unpad) -> Arrays:
    """Return a call's inputs with a layout in the place of the mask, where that pays and no padding is read.

    Args:
        model: Knows which padding it reads.
        arrays: The inputs of one call by name; with others than ids, mask and positions, as labels, padding stays.
        unpad: With True, padding may be read: it has the fill value.

    Returns:
        The inputs, rounded up to buckets; the same dict where padding has to be computed.
    """
    ids, mask, longest = arrays.get("input_ids"), arrays.get("attention_mask"), model.config.max_position_embeddings
    if ids is None or mask is None or ids.ndim != 2 or mask.shape != ids.shape or not arrays.keys() <= _GATHERED:
        return arrays
    tokens = np.asarray(mask) != 0  # (batch, seq)
    if not tokens.size or tokens.mean() > UNPAD_THRESHOLD or ids.shape[1] > longest:
        return arrays
    if unpad is not True and is_read(~tokens, model.reads(arrays)):
        return arrays
    if model._table_head == "ForMaskedLM":  # whose logits are large: its rows stay as short as they can be
        seq = bucket(ids.shape[1], MIN_BUCKET_LENGTH, longest)
    else:
        seq = power_of_two(ids.shape[1], longest)
    size = (bucket(ids.shape[0]), seq)
    packing = pack_batch(pad_to(tokens, ids.shape, size), power_of_two(int(tokens.sum(axis=1).max()), longest))
    if packing is None or packing[0].size > UNPAD_THRESHOLD * tokens.size:
        return arrays
    padded = {name: pad_to(array, ids.shape, size) for name, array in arrays.items() if name != "attention_mask"}
    return {**padded, "layout": Unpadded(*packing)}
