"""Leaving padding out: the layers see real tokens only, and attention sees each sequence alone.

Sequences lie end to end, those of one length beside each other: so many of one length are one rectangular batch for
attention, a view of the tokens, with neither mask nor padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from distilbert_common.constants import IGNORE_INDEX
from distilbert_pt.checks import is_concrete

UNPAD_THRESHOLD = 0.95
"""The share of real tokens below which leaving the others out saves more than gathering costs."""


@dataclass(frozen=True)
class RealTokens:
    """The real tokens of a batch, sequence after sequence, the shortest first.

    Attributes:
        places: (tokens,) where each token is among the batch * seq places.
        batch: The batch's size.
        seq: The length of its rows.
        groups: How many sequences there are of which length, in order.
    """

    places: Tensor
    batch: int
    seq: int
    groups: tuple[tuple[int, int], ...]

    def take(self, x: Tensor) -> Tensor:
        """(batch or 1, seq, …) -> (1, tokens, …)."""
        x = x.expand(self.batch, *x.shape[1:]).flatten(0, 1)  # (batch * seq, ...)
        return x.index_select(0, self.places)[None]  # (1, tokens, ...)

    def put_back(self, x: Tensor) -> Tensor:
        """(1, tokens, dim) -> (batch, seq, dim), 0 where there is no token."""
        padded = x.new_zeros(self.batch * self.seq, x.size(-1)).index_copy(0, self.places, x[0])
        return padded.unflatten(0, (self.batch, self.seq))  # (batch, seq, dim)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, dropout: float = 0.0) -> Tensor:
        """Attend within each sequence: three of (1, heads, tokens, head_dim) -> (1, heads, tokens, head_dim)."""
        if query.is_cuda and query.dtype in (torch.float16, torch.bfloat16) and not dropout:
            return self._attend_varlen(query, key, value)
        # split, not sliced: the gradient of a slice is as large as the whole, once for each group
        sizes = [count * length for count, length in self.groups]
        parts = zip(*(x[0].split(sizes, dim=1) for x in (query, key, value)), strict=True)
        found = []
        for group, three in zip(self.groups, parts, strict=True):
            rows = (x.unflatten(1, group).transpose(0, 1) for x in three)  # (count, heads, length, head_dim) each
            context = F.scaled_dot_product_attention(*rows, dropout_p=dropout)  # (count, heads, length, head_dim)
            found.append(context.transpose(1, 2).flatten(0, 1))  # (count * length, heads, head_dim)
        return torch.cat(found).transpose(0, 1)[None]  # (1, heads, tokens, head_dim)

    def _attend_varlen(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """The same by PyTorch's kernel for sequences of any lengths, which GPUs have."""
        from torch.nn.attention.varlen import varlen_attn

        lengths = [length for count, length in self.groups for _ in range(count)]
        starts = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=query.device)
        tokens = (x[0].transpose(0, 1).contiguous() for x in (query, key, value))  # three of (tokens, heads, head_dim)
        context = varlen_attn(*tokens, starts, starts, max(lengths), max(lengths))
        return context.transpose(0, 1)[None]  # (1, heads, tokens, head_dim)


def real_tokens(ids: Tensor) -> RealTokens | None:
    """Find the real tokens; None if there are none.

    Args:
        ids: (batch, seq), an attention mask or segment ids: tokens of one row with the same value other than 0 are a
            sequence.
    """
    batch, seq = ids.shape
    ids = ids.long()
    rows, columns = ids.nonzero(as_tuple=True)  # (tokens,) each
    if not len(rows):
        return None
    sequence = rows * (int(ids.max()) + 1) + ids[rows, columns]  # (tokens,): one number for each sequence
    _, inverse, lengths = sequence.unique(return_inverse=True, return_counts=True)
    order = (lengths[inverse] * len(lengths) + inverse).argsort(stable=True)  # (tokens,): by length, then by sequence
    sizes, counts = lengths.unique(return_counts=True)
    groups = tuple(zip(counts.tolist(), sizes.tolist(), strict=True))
    return RealTokens((rows * seq + columns)[order], batch, seq, groups)


def is_at_hand(x: Tensor) -> bool:
    """Whether a tensor's values can be looked at here, at no cost."""
    return x.device.type == "cpu" and is_concrete(x)


def sees_padding(attention_mask: Tensor | None, labels: Tensor | None = None) -> bool:
    """Whether a head's output depends on padding: on labelled places, or without labels on the first of each row."""
    if attention_mask is None or attention_mask.dim() == 4 or not is_at_hand(attention_mask):
        return False
    padding = attention_mask == 0  # (batch, seq)
    return bool((padding[..., 0] if labels is None else padding & (labels != IGNORE_INDEX)).any())


def unless_needed(unpad: bool | None, needed: bool) -> bool | None:
    """Return `unpad` so that padding is computed where the head's output needs it, unless the caller chose."""
    return False if needed and unpad is None else unpad


def left_out(x: Tensor, attention_mask: Tensor | None, segment_ids: Tensor | None, unpad: bool | None) -> Tensor | None:
    """Find the padding that was left out.

    Args:
        x: (batch, seq, dim), the last hidden state, which is 0 there.
        attention_mask: (batch, seq) or with four axes, where padding is never left out.
        segment_ids: (batch, seq) instead of a mask.
        unpad: What the call asked for.

    Returns:
        bool (batch, seq), True where a token was left out; None if there is none.
    """
    if segment_ids is not None:
        return segment_ids == 0
    if attention_mask is None or attention_mask.dim() != 2 or unpad is False or not (unpad or is_at_hand(x)):
        return None
    padding = attention_mask == 0  # (batch, seq)
    if is_concrete(padding) and not padding.any():
        return None
    return padding & ~x.any(dim=-1)  # (batch, seq)


def filled(logits: Tensor, places: Tensor | None, value: float, *, in_place: bool = False) -> Tensor:
    """Return the logits with a value at some places.

    Args:
        logits: (batch, seq) or (batch, seq, classes).
        places: bool (batch, seq), or None for nowhere.
        value: What to put there.
        in_place: Whether the logits are nobody else's, so that the other places need not be copied.
    """
    if places is None:
        return logits
    if in_place and is_concrete(places):
        logits.flatten(0, 1).index_fill_(0, places.flatten().nonzero()[:, 0], value)  # (batch * seq, classes)
        return logits
    return logits.masked_fill(places if logits.dim() == 2 else places[:, :, None], value)
