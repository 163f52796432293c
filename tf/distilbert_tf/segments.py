"""The sequences of packed rows, numbered from 1 by `segment_ids` (batch, seq); 0 is padding.

`distilbert_common.packing` makes them.
"""

from __future__ import annotations

from keras import ops

from distilbert_common.checks import check_num_segments
from distilbert_tf.arrays import Tensor
from distilbert_tf.checks import is_concrete

__all__ = ["count_segments", "first_tokens", "segment_mask", "segment_onehot", "segment_positions"]


def segment_mask(segment_ids: Tensor) -> Tensor:
    """(batch, seq) -> bool (batch, 1, seq, seq): True where a token attends, to its own segment and not to padding."""
    same = ops.equal(segment_ids[:, :, None], segment_ids[:, None, :])  # (batch, seq, seq)
    return ops.logical_and(same, ops.not_equal(segment_ids, 0)[:, None, :])[:, None]  # (batch, 1, seq, seq)


def segment_positions(segment_ids: Tensor) -> Tensor:
    """(batch, seq) -> (batch, seq): 0, 1, 2, … in each segment, and in each run of padding."""
    positions = ops.arange(ops.shape(segment_ids)[1])  # (seq,)
    is_start = ops.not_equal(segment_ids[:, 1:], segment_ids[:, :-1])  # (batch, seq - 1)
    is_start = ops.concatenate([ops.ones_like(segment_ids[:, :1], dtype="bool"), is_start], axis=1)  # (batch, seq)
    starts = ops.where(is_start, positions, 0)  # (batch, seq)
    before = ops.logical_and(positions[:, None] >= positions, ops.expand_dims(is_start, 1))  # (batch, seq, seq)
    return positions - ops.max(ops.where(before, ops.expand_dims(starts, 1), 0), axis=-1)


def segment_onehot(segment_ids: Tensor, num_segments: int | Tensor) -> Tensor:
    """(batch, seq) -> bool (batch, num_segments, seq): where a token is of segment 1, 2 and so on."""
    numbers = ops.cast(ops.arange(num_segments) + 1, segment_ids.dtype)
    return ops.equal(segment_ids[:, None, :], numbers[:, None])  # (batch, num_segments, seq)


def first_tokens(x: Tensor, segment_ids: Tensor, num_segments: int | Tensor) -> Tensor:
    """Return the first token of each segment: (batch, seq, dim) -> (batch, num_segments, dim).

    Where a row has no such segment, the row's first token stands.
    """
    onehot = ops.cast(segment_onehot(segment_ids, num_segments), "int32")
    first = ops.argmax(onehot, axis=-1)  # (batch, num_segments)
    return ops.take_along_axis(x, first[:, :, None], axis=1)  # (batch, num_segments, dim)


def count_segments(segment_ids: Tensor, labels: Tensor | None, num_segments: int | None) -> int | Tensor:
    """Return how many segments a row has at most: as the caller says, or as the labels or the ids show.

    Raises:
        InputError: Nothing shows it, as the code is being traced.
    """
    if num_segments is None and labels is not None:
        return ops.shape(labels)[1]
    if num_segments is None and is_concrete(segment_ids):
        num_segments = int(ops.convert_to_numpy(segment_ids).max(initial=0))
    return check_num_segments(num_segments)
