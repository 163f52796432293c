"""How the tokens of a batch lie in the layers: padded, without padding, or packed; see `distilbert_common.layout`."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from distilbert_common import layout
from distilbert_common.checks import Unpad, check_unpad
from distilbert_flax.attention import Dropout, expand_mask
from distilbert_flax.segments import segment_mask, segment_positions

__all__ = ["Layout", "Packed", "Padded", "Unpadded", "fill_padding", "padded_layout"]

Attention = Callable[[Array, Array, Array, Array | None, Dropout], Array]
"""query, key, value (batch, heads, seq, head_dim), mask, dropout -> context (batch, heads, seq, head_dim)."""


class Padded(layout.Padded[Array]):
    """Every token is computed, padding too."""

    def scatter(self, x: Array, fill: float = 0.0) -> Array:
        """What the layers give -> (batch, seq, …), `fill` at padding that is to have it."""
        return fill_padding(x, self.padding, fill)


class Packed(layout.Packed[Array]):
    """Rows of several sequences, which attend within themselves."""

    @property
    def padding(self) -> Array:
        """Bool (batch, seq), True where there is no token."""
        return self.segment_ids == 0

    def positions(self, position_ids: Array | None) -> Array:
        """(batch or 1, seq) -> the same; None for positions that start anew in each segment."""
        return segment_positions(self.segment_ids) if position_ids is None else position_ids

    def scatter(self, x: Array, fill: float = 0.0) -> Array:
        """What the layers give -> (batch, seq, …), `fill` where there is no token."""
        return fill_padding(x, self.padding, fill)


class Unpadded(layout.Unpadded[Array]):
    """Padding left out: the tokens in rows, each sequence a segment of one."""

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
    """Return the layout in which padding is computed; arguments as `FlaxDistilBertModel.forward`."""
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
