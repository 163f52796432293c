"""The sequences of packed rows, numbered from 1 by `segment_ids` (batch, seq); 0 is padding.

`distilbert_common.packing` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from distilbert_common.checks import check_num_segments
from distilbert_flax.checks import is_concrete

__all__ = ["count_segments", "first_tokens", "segment_ids_of", "segment_mask", "segment_onehot", "segment_positions"]


def segment_ids_of(inputs: Mapping[str, Any]) -> Array | None:
    """Return the segment ids of a call, of which `inputs` are the arrays by name: its own, or those of its layout."""
    segment_ids: Array | None = inputs.get("segment_ids", getattr(inputs.get("layout"), "segment_ids", None))
    return segment_ids


def segment_mask(segment_ids: Array) -> Array:
    """(batch, seq) -> bool (batch, 1, seq, seq): True where a token attends, to its own segment and not to padding."""
    same = segment_ids[:, :, None] == segment_ids[:, None, :]  # (batch, seq, seq)
    return (same & (segment_ids != 0)[:, None, :])[:, None]  # (batch, 1, seq, seq)


def segment_positions(segment_ids: Array) -> Array:
    """(batch, seq) -> (batch, seq): 0, 1, 2, … in each segment, and in each run of padding."""
    positions = jnp.broadcast_to(jnp.arange(segment_ids.shape[1]), segment_ids.shape)  # (batch, seq)
    is_start = segment_ids[:, 1:] != segment_ids[:, :-1]
    is_start = jnp.pad(is_start, ((0, 0), (1, 0)), constant_values=True)  # (batch, seq)
    return positions - jax.lax.cummax(jnp.where(is_start, positions, 0), axis=1)


def segment_onehot(segment_ids: Array, num_segments: int) -> Array:
    """(batch, seq) -> bool (batch, num_segments, seq): where a token is of segment 1, 2 and so on."""
    numbers = jnp.arange(1, num_segments + 1)
    return segment_ids[:, None, :] == numbers[:, None]  # (batch, num_segments, seq)


def first_tokens(x: Array, segment_ids: Array, num_segments: int) -> Array:
    """Return the first token of each segment: (batch, seq, dim) -> (batch, num_segments, dim).

    Where a row has no such segment, the row's first token stands.
    """
    first = segment_onehot(segment_ids, num_segments).argmax(axis=-1)  # (batch, num_segments)
    return jnp.take_along_axis(x, first[:, :, None], axis=1)  # (batch, num_segments, dim)


def count_segments(segment_ids: Array, labels: Array | None, num_segments: int | None) -> int:
    """Return how many segments a row has at most: as the caller says, or as the labels or the ids show.

    Raises:
        InputError: Nothing shows it, as the code is being traced.
    """
    if num_segments is None and labels is not None:
        num_segments = labels.shape[1]
    if num_segments is None and is_concrete(segment_ids):
        num_segments = int(segment_ids.max()) if segment_ids.size else 0
    return check_num_segments(num_segments)
