"""How the tokens of a batch lie in the layers: padded, without padding, or packed.

Outside, a batch is (batch, seq). Each of the three types says what the layers see of it: `gather` and `positions` go
before the embeddings, `attend` stands in attention, `scatter` goes after the blocks. Segments are the sequences of a
packed row, numbered from 1 by `segment_ids`, which `distilbert_common.packing` makes; 0 is padding. Shapes depend on
rows and their length alone, so that compiled code serves any content.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from distilbert_common.checks import Unpad, check_num_segments, check_unpad
from distilbert_flax.attention import Dropout, expand_mask
from distilbert_flax.checks import is_concrete

__all__ = [
    "Layout",
    "Packed",
    "Padded",
    "Unpad",
    "Unpadded",
    "count_segments",
    "fill_padding",
    "first_tokens",
    "padded_layout",
    "segment_ids_of",
    "segment_mask",
    "segment_onehot",
    "segment_positions",
]

Attention = Callable[[Array, Array, Array, Array | None, Dropout], Array]
"""query, key, value (batch, heads, seq, head_dim), mask, dropout -> context (batch, heads, seq, head_dim)."""


class Padded(NamedTuple):
    """Every token is computed, padding too.

    Attributes:
        mask: Who attends to whom, as `expand_mask` returns it; None where all attend to all.
        padding: bool (batch, seq), True where outputs are to have the fill value; None for nowhere.
    """

    mask: Array | None = None
    padding: Array | None = None

    @property
    def segment_ids(self) -> None:
        """None: a row is one sequence."""
        return None

    def gather(self, x: Array) -> Array:
        """(batch, seq, …) -> what the layers see: the same."""
        return x

    def positions(self, position_ids: Array | None) -> Array | None:
        """(batch or 1, seq) -> the same; None for 0, 1, 2, …."""
        return position_ids

    def attend(self, attention: Attention, query: Array, key: Array, value: Array, dropout: Dropout) -> Array:
        """Call an attention function: three of (batch, heads, seq, head_dim) -> (batch, heads, seq, head_dim)."""
        return attention(query, key, value, self.mask, dropout)

    def scatter(self, x: Array, fill: float = 0.0) -> Array:
        """What the layers give -> (batch, seq, …), `fill` at padding that is to have it."""
        return fill_padding(x, self.padding, fill)


class Packed(NamedTuple):
    """Rows of several sequences, which attend within themselves.

    Attributes:
        segment_ids: (batch, seq) integers.
        mask: What `segment_mask` returns.
    """

    segment_ids: Array
    mask: Array

    @property
    def padding(self) -> Array:
        """Bool (batch, seq), True where there is no token."""
        return self.segment_ids == 0

    def gather(self, x: Array) -> Array:
        """(batch, seq, …) -> what the layers see: the same."""
        return x

    def positions(self, position_ids: Array | None) -> Array:
        """(batch or 1, seq) -> the same; None for positions that start anew in each segment."""
        return segment_positions(self.segment_ids) if position_ids is None else position_ids

    def attend(self, attention: Attention, query: Array, key: Array, value: Array, dropout: Dropout) -> Array:
        """Call an attention function: three of (batch, heads, seq, head_dim) -> (batch, heads, seq, head_dim)."""
        return attention(query, key, value, self.mask, dropout)

    def scatter(self, x: Array, fill: float = 0.0) -> Array:
        """What the layers give -> (batch, seq, …), `fill` where there is no token."""
        return fill_padding(x, self.padding, fill)


class Unpadded(NamedTuple):
    """Padding left out: the tokens in rows, each sequence a segment of one.

    Attributes:
        indices: (rows, length) where each token is among the batch * seq of the padded batch; 0 where there is none.
        segments: (rows, length) one number for each sequence of a row, from 1; 0 where there is no token.
        inverse: (batch, seq) where each token is among the rows * length; -1 at padding.
    """

    indices: Array
    segments: Array
    inverse: Array

    @property
    def segment_ids(self) -> None:
        """None: a row of the padded batch is one sequence."""
        return None

    @property
    def padding(self) -> Array:
        """Bool (batch, seq), True where there is no token."""
        return self.inverse < 0

    @property
    def mask(self) -> Array:
        """Bool (rows, 1, length, length): True within a sequence."""
        return segment_mask(self.segments)

    def gather(self, x: Array) -> Array:
        """(batch or 1, seq, …) -> (rows, length, …)."""
        x = jnp.broadcast_to(x, (*self.inverse.shape, *x.shape[2:]))  # (batch, seq, …)
        return x.reshape(-1, *x.shape[2:])[self.indices]  # (rows, length, …)

    def positions(self, position_ids: Array | None) -> Array:
        """(batch or 1, seq) -> (rows, length); None for the place in the row."""
        return self.indices % self.inverse.shape[1] if position_ids is None else self.gather(position_ids)

    def attend(self, attention: Attention, query: Array, key: Array, value: Array, dropout: Dropout) -> Array:
        """Attend within each sequence: three of (rows, heads, length, head_dim) -> (rows, heads, length, head_dim)."""
        return attention(query, key, value, self.mask, dropout)

    def scatter(self, x: Array, fill: float = 0.0) -> Array:
        """(rows, length, dim) -> (batch, seq, dim), `fill` where there is no token."""
        tokens = x.reshape(-1, x.shape[-1])[jnp.maximum(self.inverse, 0)]  # (batch, seq, dim)
        return fill_padding(tokens, self.padding, fill)


Layout = Padded | Packed | Unpadded


def padded_layout(attention_mask: Array | None, segment_ids: Array | None, unpad: Unpad) -> Padded | Packed:
    """Return the layout in which padding is computed.

    Args:
        attention_mask: (batch, seq) or with four axes, see `expand_mask`; None where all attend to all.
        segment_ids: (batch, seq) instead of a mask.
        unpad: With True, outputs at the padding of a mask (batch, seq) have the fill value all the same.
    """
    check_unpad(unpad)
    if segment_ids is not None:
        segment_ids = jnp.asarray(segment_ids)
        return Packed(segment_ids, segment_mask(segment_ids))
    if attention_mask is None:
        return Padded()
    attention_mask = jnp.asarray(attention_mask)
    fills = unpad is True and attention_mask.ndim == 2
    return Padded(expand_mask(attention_mask), attention_mask == 0 if fills else None)


def fill_padding(x: Array, padding: Array | None, fill: float) -> Array:
    """Return an array with another value at padding.

    Args:
        x: (batch, seq, dim).
        padding: bool (batch, seq), True where the value goes; None for nowhere.
        fill: The value.
    """
    return x if padding is None else jnp.where(padding[..., None], jnp.asarray(fill, x.dtype), x)


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
