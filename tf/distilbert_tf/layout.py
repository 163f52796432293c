"""How the tokens of a batch lie in the layers: padded, without padding, or packed; see `distilbert_common.layout`."""

from __future__ import annotations

from collections.abc import Callable

from keras import ops

from distilbert_common import layout
from distilbert_common.checks import Unpad, check_unpad
from distilbert_tf.arrays import Tensor
from distilbert_tf.attention import Dropout, expand_mask
from distilbert_tf.segments import segment_mask, segment_positions

__all__ = ["NO_PADDING", "Layout", "Packed", "Padded", "Unpadded", "fill_padding", "padded_layout"]

Attention = Callable[[Tensor, Tensor, Tensor, Tensor | None, Dropout], Tensor]
"""query, key, value (batch, heads, seq, head_dim), mask, dropout -> context (batch, heads, seq, head_dim)."""


class Padded(layout.Padded[Tensor]):
    """Every token is computed, padding too."""

    def scatter(self, x: Tensor, fill: float = 0.0) -> Tensor:
        """What the layers give -> (batch, seq, …), `fill` at padding that is to have it."""
        return fill_padding(x, self.padding, fill)


class Packed(layout.Packed[Tensor]):
    """Rows of several sequences, which attend within themselves."""

    @property
    def padding(self) -> Tensor:
        """Bool (batch, seq), True where there is no token."""
        return ops.equal(self.segment_ids, 0)

    def positions(self, position_ids: Tensor | None) -> Tensor:
        """(batch or 1, seq) -> the same; None for positions that start anew in each segment."""
        return segment_positions(self.segment_ids) if position_ids is None else position_ids

    def scatter(self, x: Tensor, fill: float = 0.0) -> Tensor:
        """What the layers give -> (batch, seq, …), `fill` where there is no token."""
        return fill_padding(x, self.padding, fill)


class Unpadded(layout.Unpadded[Tensor]):
    """Padding left out: the tokens in rows, each sequence a segment of one.

    Not end to end as in PyTorch: attention is one product over all rows.
    """

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
    """Return the layout in which padding is computed; arguments as `TFDistilBertModel.call`."""
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
