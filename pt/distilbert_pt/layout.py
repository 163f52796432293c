"""How the tokens of a batch lie in the layers: padded, without padding, or packed; see `distilbert_common.layout`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from distilbert_common.checks import Unpad
from distilbert_pt.attention import HALF, expand_mask, varlen_kernel
from distilbert_pt.checks import is_concrete
from distilbert_pt.segments import segment_mask, segment_positions

__all__ = ["Layout", "Packed", "Padded", "Unpadded", "fill_padding", "padded_layout"]

Attention = Callable[[Tensor, Tensor, Tensor, Tensor | None, float], Tensor]
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

    def attend(self, attention: Attention, query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
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
        return self.segment_ids == 0

    def gather(self, x: Tensor) -> Tensor:
        """(batch, seq, …) -> what the layers see: the same."""
        return x

    def positions(self, position_ids: Tensor | None) -> Tensor:
        """(batch or 1, seq) -> the same; None for positions that start anew in each segment."""
        return segment_positions(self.segment_ids) if position_ids is None else position_ids

    def attend(self, attention: Attention, query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
        """Call an attention function: three of (batch, heads, seq, head_dim) -> (batch, heads, seq, head_dim)."""
        return attention(query, key, value, self.mask, dropout)

    def scatter(self, x: Tensor, fill: float = 0.0) -> Tensor:
        """What the layers give -> (batch, seq, …), `fill` where there is no token."""
        return fill_padding(x, self.padding, fill)


class Unpadded(NamedTuple):
    """Padding left out: the sequences end to end in one row, the shortest first.

    Those of one length lie beside each other: to attention they are one rectangular batch, a view of the tokens.

    Attributes:
        indices: (tokens,) where each token is among the batch * seq of the padded batch.
        batch: The batch's size.
        seq: The length of its rows.
        groups: How many sequences there are of which length, in order.
        segment_ids: (batch, seq) where rows hold several sequences, else None.
        reads: (read,) the only ones of the tokens whose last hidden state is used; None for all.
    """

    indices: Tensor
    batch: int
    seq: int
    groups: tuple[tuple[int, int], ...]
    segment_ids: Tensor | None = None
    reads: Tensor | None = None

    @property
    def padding(self) -> Tensor:
        """Bool (batch, seq), True where there is no token."""
        padding = torch.ones(self.batch * self.seq, dtype=torch.bool, device=self.indices.device)
        return padding.index_fill(0, self.indices, False).unflatten(0, (self.batch, self.seq))  # (batch, seq)

    @property
    def mask(self) -> Tensor:
        """Bool (1, 1, tokens, tokens): True within a sequence. `attend` needs none."""
        lengths = torch.tensor(self._lengths(), device=self.indices.device)
        sequence = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)  # (tokens,)
        return (sequence[:, None] == sequence)[None, None]

    def gather(self, x: Tensor) -> Tensor:
        """(batch or 1, seq, …) -> (1, tokens, …)."""
        x = x.expand(self.batch, *x.shape[1:]).flatten(0, 1)  # (batch * seq, …)
        return x.index_select(0, self.indices)[None]  # (1, tokens, …)

    def positions(self, position_ids: Tensor | None) -> Tensor:
        """(batch or 1, seq) -> (1, tokens); None for the place in the row, or in the segment."""
        if position_ids is None and self.segment_ids is None:
            return (self.indices % self.seq)[None]  # (1, tokens)
        return self.gather(segment_positions(self.segment_ids) if position_ids is None else position_ids)

    def attend(self, attention: Attention, query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
        """Attend within each sequence: three of (1, heads, tokens, head_dim) -> (1, heads, tokens, head_dim)."""
        kernel = varlen_kernel(dropout) if query.is_cuda and query.dtype in HALF else None
        if kernel is not None:
            return self._attend_varlen(kernel, query, key, value)
        # split, not sliced: the gradient of a slice has the size of all tokens, once for each group
        sizes = [count * length for count, length in self.groups]
        parts = zip(*(x[0].split(sizes, dim=1) for x in (query, key, value)), strict=True)
        contexts = []
        for group, part in zip(self.groups, parts, strict=True):
            q, k, v = (x.unflatten(1, group).transpose(0, 1) for x in part)  # (count, heads, length, head_dim) each
            context = attention(q, k, v, None, dropout)  # (count, heads, length, head_dim)
            contexts.append(context.transpose(1, 2).flatten(0, 1))  # (count * length, heads, head_dim)
        return torch.cat(contexts).transpose(0, 1)[None]  # (1, heads, tokens, head_dim)

    def scatter(self, x: Tensor, fill: float = 0.0) -> Tensor:
        """(1, tokens, dim) -> (batch, seq, dim), `fill` where there is no token."""
        padded = x.new_full((self.batch * self.seq, x.size(-1)), fill).index_copy(0, self.indices, x[0])
        return padded.unflatten(0, (self.batch, self.seq))  # (batch, seq, dim)

    def _attend_varlen(self, kernel: Callable[..., Tensor], query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Do as `attend` by a kernel for sequences of any lengths, which GPUs have."""
        lengths = self._lengths()
        cu_seqlens = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=query.device)
        tokens = (x[0].transpose(0, 1).contiguous() for x in (query, key, value))  # three of (tokens, heads, head_dim)
        context = kernel(*tokens, cu_seqlens, cu_seqlens, max(lengths), max(lengths))  # (tokens, heads, head_dim)
        return context.transpose(0, 1)[None]  # (1, heads, tokens, head_dim)

    def _lengths(self) -> list[int]:
        """Return the length of each sequence, in order."""
        return [length for count, length in self.groups for _ in range(count)]


Layout = Padded | Packed | Unpadded


def padded_layout(attention_mask: Tensor | None, segment_ids: Tensor | None, unpad: Unpad) -> Padded | Packed:
    """Return the layout in which padding is computed; arguments as `DistilBertModel.forward`."""
    if segment_ids is not None:
        return Packed(segment_ids, segment_mask(segment_ids))
    if attention_mask is None:
        return Padded()
    fills = unpad is True and attention_mask.dim() == 2
    return Padded(expand_mask(attention_mask), attention_mask == 0 if fills else None)


def fill_padding(x: Tensor, padding: Tensor | None, fill: float, *, in_place: bool = False) -> Tensor:
    """Return a tensor with another value at padding.

    Args:
        x: (batch, seq, dim).
        padding: bool (batch, seq), True where the value goes; None for nowhere.
        fill: The value.
        in_place: Whether the tensor is nobody else's, so that what is not padding need not be copied.
    """
    if padding is None:
        return x
    if in_place and is_concrete(padding):
        x.flatten(0, 1).index_fill_(0, padding.flatten().nonzero()[:, 0], fill)  # (batch * seq, dim)
        return x
    return x.masked_fill(padding[..., None], fill)
