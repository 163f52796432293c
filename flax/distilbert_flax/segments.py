"""Packed rows: several sequences to a row, told apart by `segment_ids`, which `distilbert_common.packing` makes.

Segment 0 is padding. Shapes depend on the row alone, so that compiled code serves any content.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from distilbert_common.checks import check_num_segments
from distilbert_flax.checks import is_concrete


def segment_mask(segment_ids: Array) -> Array:
    """(batch, seq) -> bool (batch, 1, seq, seq): True where a token attends, to its own segment and not to padding."""
    same = segment_ids[:, :, None] == segment_ids[:, None, :]  # (batch, seq, seq)
    return (same & (segment_ids != 0)[:, None, :])[:, None]  # (batch, 1, seq, seq)


def segment_positions(segment_ids: Array) -> Array:
    """(batch, seq) -> (batch, seq): 0, 1, 2, … in each segment, and in each run of padding."""
    places = jnp.broadcast_to(jnp.arange(segment_ids.shape[1]), segment_ids.shape)  # (batch, seq)
    begins = segment_ids[:, 1:] != segment_ids[:, :-1]
    begins = jnp.pad(begins, ((0, 0), (1, 0)), constant_values=True)  # (batch, seq)
    return places - jax.lax.cummax(jnp.where(begins, places, 0), axis=1)


def belongs(segment_ids: Array, num_segments: int) -> Array:
    """(batch, seq) -> bool (batch, num_segments, seq): where a token is of segment 1, 2 and so on."""
    numbers = jnp.arange(1, num_segments + 1)
    return segment_ids[:, None, :] == numbers[:, None]  # (batch, num_segments, seq)


def first_tokens(x: Array, segment_ids: Array, num_segments: int) -> Array:
    """Return the first token of each segment: (batch, seq, dim) -> (batch, num_segments, dim).

    Where a row has no such segment, the row's first token stands.
    """
    first = belongs(segment_ids, num_segments).argmax(axis=-1)  # (batch, num_segments)
    return jnp.take_along_axis(x, first[:, :, None], axis=1)  # (batch, num_segments, dim)


def count_segments(segment_ids: Array, labels: Array | None, num_segments: int | None) -> int:
    """Return how many segments a row has at most: what is given, or what the labels or the ids show.

    Raises:
        InputError: Nothing shows it, as the code is being traced.
    """
    if num_segments is None and labels is not None:
        num_segments = labels.shape[1]
    if num_segments is None and is_concrete(segment_ids):
        num_segments = int(segment_ids.max()) if segment_ids.size else 0
    return check_num_segments(num_segments)
