"""Leaving padding out where shapes must be few: the non-padding tokens of a padded batch, packed into rows.

The rows' sizes come from a few buckets, so that compiled code is reused; `distilbert_common.packing` fills them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distilbert_common.buckets import bucket
from distilbert_common.constants import MIN_ROW_LENGTH, UNPAD_THRESHOLD
from distilbert_common.packing import Ints, place

__all__ = ["UNPAD_THRESHOLD", "Packing", "is_read", "pack_batch", "power_of_two"]


class Packing(NamedTuple):
    """Where the non-padding tokens of a padded batch lie once they are packed.

    Attributes:
        indices: (rows, length) the index of each token among the batch * seq; 0 where there is none.
        segment_ids: (rows, length) one number for each sequence of a row, from 1; 0 where there is no token.
        inverse: (batch, seq) the index of each token among the rows * length; -1 at padding.
    """

    indices: Ints
    segment_ids: Ints
    inverse: Ints


def power_of_two(size: int, largest: int) -> int:
    """Round the length of a row up to a power of two: few lengths, and attention is the small part of the work."""
    return max(size, min(1 << (max(size, MIN_ROW_LENGTH) - 1).bit_length(), largest))


def pack_batch(mask: NDArray[np.bool_], length: int, *, rounded: bool = True) -> Packing | None:
    """Pack the non-padding tokens of a batch, or say that this would not pay.

    Args:
        mask: (batch, seq), which tokens are no padding.
        length: How many tokens a packed row holds; at least as many as one sequence has tokens.
        rounded: Whether the number of rows is rounded up to a bucket.

    Returns:
        The packing; None where the rows would not be much fewer than the batch's, or all is padding.
    """
    sizes = mask.sum(axis=1, dtype=np.int32)  # (batch,)
    if not sizes.any() or sizes.sum() > UNPAD_THRESHOLD * mask.size:
        return None
    placement = place(sizes[sizes > 0], length)
    rows = bucket(placement.rows) if rounded else placement.rows
    if rows * length > UNPAD_THRESHOLD * mask.size:
        return None
    packed, padded = placement.tokens(), np.flatnonzero(mask)  # (tokens,) each, sequence after sequence
    indices, segment_ids = (np.zeros(rows * length, np.int32) for _ in range(2))
    indices[packed], segment_ids[packed] = padded, np.repeat(placement.segment, placement.size)
    inverse = np.full(mask.size, -1, np.int32)
    inverse[padded] = packed
    return Packing(indices.reshape(rows, length), segment_ids.reshape(rows, length), inverse.reshape(mask.shape))


def is_read(padding: NDArray[np.bool_], reads: NDArray[np.bool_] | bool | None) -> bool:
    """Whether the hidden states at padding are used.

    Args:
        padding: (batch, seq).
        reads: bool (batch or 1, seq), where hidden states are used; True for everywhere, None for tokens only.
    """
    return bool((padding & reads).any()) if isinstance(reads, np.ndarray) else bool(reads)
