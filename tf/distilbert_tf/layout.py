"""How the tokens of a batch lie in the layers: padded or without padding; see `distilbert_common.layout`."""

from __future__ import annotations

from collections.abc import Callable

from keras import ops

from distilbert_common.checks import Unpad, check_unpad
from distilbert_common.layout import Padded, UnpaddedRows
from distilbert_tf.arrays import Tensor
from distilbert_tf.attention import Dropout, expand_mask
from distilbert_tf.segments import segment_mask

__all__ = ["NO_PADDING", "Layout", "Padded", "Unpadded", "fill_padding", "padded_layout", "scatter"]

Attention = Callable[[Tensor, Tensor, Tensor, Tensor | None, Dropout], Tensor]
"""query, key, value (batch, heads, seq, head_dim), mask, dropout -> context (batch, heads, seq, head_dim)."""


class Unpadded(UnpaddedRows):
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

    def scatter(self, x: Tensor) -> Tensor:
        """(rows, length, dim) -> (batch, seq, dim), 0 where there is no token."""
        tokens = ops.reshape(x, (-1, x.shape[-1]))  # (rows * length, dim)
        tokens = ops.take(tokens, ops.maximum(self.inverse, 0), axis=0)  # (batch, seq, dim)
        return fill_padding(tokens, self.padding, 0.0)


Layout = Padded | Unpadded

NO_PADDING = Padded()
"""The layout of a batch without a mask: all attend to all."""


def padded_layout(attention_mask: Tensor | None, segment_ids: Tensor | None, unpad: Unpad) -> Padded:
    """Return the layout in which padding is computed; arguments as `TFDistilBertModel.call`."""
    check_unpad(unpad)
    if segment_ids is not None:
        segment_ids = ops.convert_to_tensor(segment_ids)
        return Padded(segment_mask(segment_ids), ops.equal(segment_ids, 0), segment_ids)
    if attention_mask is None:
        return NO_PADDING
    fills = unpad is True and len(attention_mask.shape) == 2
    return Padded(expand_mask(attention_mask), ops.equal(attention_mask, 0) if fills else None)


def scatter(layout: Layout, x: Tensor) -> Tensor:
    """What the layers give -> (batch, seq, dim), 0 at padding that was left out or is to have the fill value."""
    return layout.scatter(x) if isinstance(layout, Unpadded) else fill_padding(x, layout.padding, 0.0)


def fill_padding(x: Tensor, padding: Tensor | None, fill: float) -> Tensor:
    """(batch, seq, dim) -> the same, `fill` where `padding`, bool (batch, seq), is True; None for nowhere."""
    return x if padding is None else ops.where(ops.expand_dims(padding, -1), ops.cast(fill, x.dtype), x)
