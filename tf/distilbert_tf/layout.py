"""How the tokens of a batch lie in the layers: padded, without padding, or packed.

Outside, a batch is (batch, seq). Each of the three types says what the layers see of it: `gather` and `positions` go
before the embeddings, `attend` stands in attention, `scatter` goes after the blocks. Segments are the sequences of a
packed row, numbered from 1 by `segment_ids`, which `distilbert_common.packing` makes; 0 is padding. Shapes depend on
rows and their length alone, so that compiled code serves any content.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import ops

from distilbert_common.checks import Unpad, check_num_segments, check_unpad
from distilbert_tf.arrays import Tensor
from distilbert_tf.attention import Dropout, expand_mask
from distilbert_tf.checks import is_concrete

__all__ = [
    "NO_PADDING",
    "Layout",
    "Packed",
    "Padded",
    "Unpad",
    "Unpadded",
    "count_segments",
    "fill_padding",
    "first_tokens",
    "padded_layout",
    "segment_mask",
    "segment_onehot",
    "segment_positions",
]

Attention = Callable[[Tensor, Tensor, Tensor, Tensor | None, Dropout], Tensor]
"""query, key, value (batch, heads, seq, head_dim), mask, dropout -> context (batch, heads, seq, head_dim)."""


class Padded(NamedTuple):
    """Every token is computed, padding too.

    Attributes:
        mask: Who attends to whom, as `expand_mask` returns it; None where all attend to all.
        padding: bool (batch, seq), True where outputs are to have the fill value; None for nowhere.
    """

    mask: Tensor | None = None
    padding: Tensor | None = None

    @property
    def segment_ids(self) -> None:
        """None: a row is one sequence."""
        return None

    def gather(self, x: Tensor) -> Tensor:
        """(batch, seq, …) -> what the layers see: the same."""
        return x

    def positions(self, position_ids: Tensor | None) -> Tensor | None:
        """(batch or 1, seq) -> the same; None for 0, 1, 2, …."""
        return position_ids

    def attend(self, attention: Attention, query: Tensor, key: Tensor, value: Tensor, dropout: Dropout) -> Tensor:
        """Call an attention function: three of (batch, heads, seq, head_dim) -> (batch, heads, seq, head_dim)."""
        return attention(query, key, value, self.mask, dropout)

    def scatter(self, x: Tensor, fill: float = 0.0) -> Tensor:
        """What the layers give -> (batch, seq, …), `fill` at padding that is to have it."""
        return fill_padding(x, self.padding, fill)


class Packed(NamedTuple):
    """Rows of several sequences, which attend within themselves.

    Attributes:
        segment_ids: (batch, seq) integers.
        mask: What `segment_mask` returns.
    """

    segment_ids: Tensor
    mask: Tensor

    @property
    def padding(self) -> Tensor:
        """Bool (batch, seq), True where there is no token."""
        return ops.equal(self.segment_ids, 0)

    def gather(self, x: Tensor) -> Tensor:
        """(batch, seq, …) -> what the layers see: the same."""
        return x

    def positions(self, position_ids: Tensor | None) -> Tensor:
        """(batch or 1, seq) -> the same; None for positions that start anew in each segment."""
        return segment_positions(self.segment_ids) if position_ids is None else position_ids

    def attend(self, attention: Attention, query: Tensor, key: Tensor, value: Tensor, dropout: Dropout) -> Tensor:
        """Call an attention function: three of (batch, heads, seq, head_dim) -> (batch, heads, seq, head_dim)."""
        return attention(query, key, value, self.mask, dropout)

    def scatter(self, x: Tensor, fill: float = 0.0) -> Tensor:
        """What the layers give -> (batch, seq, …), `fill` where there is no token."""
        return fill_padding(x, self.padding, fill)


class Unpadded(NamedTuple):
    """Padding left out: the tokens in rows, each sequence a segment of one.

    Not end to end as in PyTorch: attention is one product over all rows.

    Attributes:
        indices: (rows, length) where each token is among the batch * seq of the padded batch; 0 where there is none.
        segments: (rows, length) one number for each sequence of a row, from 1; 0 where there is no token.
        inverse: (batch, seq) where each token is among the rows * length; -1 at padding.
    """

    indices: Tensor
    segments: Tensor
    inverse: Tensor

    @property
    def segment_ids(self) -> None:
        """None: a row of the padded batch is one sequence."""
        return None

    @property
    def padding(self) -> Tensor:
        """Bool (batch, seq), True where there is no token."""
        return self.inverse < 0

    @property
    def mask(self) -> Tensor:
        """Bool (rows, 1, length, length): True within a sequence."""
        return segment_mask(self.segments)

    def gather(self, x: Tensor) -> Tensor:
        """(batch or 1, seq, …) -> (rows, length, …)."""
        x = ops.broadcast_to(x, (*ops.shape(self.inverse), *x.shape[2:]))  # (batch, seq, …)
        return ops.take(ops.reshape(x, (-1, *x.shape[2:])), self.indices, axis=0)  # (rows, length, …)

    def positions(self, position_ids: Tensor | None) -> Tensor:
        """(batch or 1, seq) -> (rows, length); None for the place in the row."""
        return self.indices % ops.shape(self.inverse)[1] if position_ids is None else self.gather(position_ids)

    def attend(self, attention: Attention, query: Tensor, key: Tensor, value: Tensor, dropout: Dropout) -> Tensor:
        """Attend within each sequence: three of (rows, heads, length, head_dim) -> (rows, heads, length, head_dim)."""
        return attention(query, key, value, self.mask, dropout)

    def scatter(self, x: Tensor, fill: float = 0.0) -> Tensor:
        """(rows, length, dim) -> (batch, seq, dim), `fill` where there is no token."""
        tokens = ops.reshape(x, (-1, x.shape[-1]))  # (rows * length, dim)
        tokens = ops.take(tokens, ops.maximum(self.inverse, 0), axis=0)  # (batch, seq, dim)
        return fill_padding(tokens, self.padding, fill)


Layout = Padded | Packed | Unpadded

NO_PADDING = Padded()
"""The layout of a batch without a mask: all attend to all."""


def padded_layout(attention_mask: Tensor | None, segment_ids: Tensor | None, unpad: Unpad) -> Padded | Packed:
    """Return the layout in which padding is computed.

    Args:
        attention_mask: (batch, seq) or with four axes, see `expand_mask`; None where all attend to all.
        segment_ids: (batch, seq) instead of a mask.
        unpad: With True, outputs at the padding of a mask (batch, seq) have the fill value all the same.
    """
    check_unpad(unpad)
    if segment_ids is not None:
        segment_ids = ops.convert_to_tensor(segment_ids)
        return Packed(segment_ids, segment_mask(segment_ids))
    if attention_mask is None:
        return NO_PADDING
    fills = unpad is True and len(attention_mask.shape) == 2
    return Padded(expand_mask(attention_mask), ops.equal(attention_mask, 0) if fills else None)


def fill_padding(x: Tensor, padding: Tensor | None, fill: float) -> Tensor:
    """Return a tensor with another value at padding.

    Args:
        x: (batch, seq, dim).
        padding: bool (batch, seq), True where the value goes; None for nowhere.
        fill: The value.
    """
    return x if padding is None else ops.where(ops.expand_dims(padding, -1), ops.cast(fill, x.dtype), x)


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
        num_segments = int(keras.ops.convert_to_numpy(segment_ids).max(initial=0))
    return check_num_segments(num_segments)
