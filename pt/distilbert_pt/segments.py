"""The sequences of packed rows, numbered from 1 by `segment_ids` (batch, seq); 0 is padding.

`distilbert_common.packing` makes them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distilbert_common.checks import check_num_segments

__all__ = ["count_segments", "first_tokens", "is_first", "segment_mask", "segment_onehot", "segment_positions"]


def is_first(attention_mask: Tensor | None, segment_ids: Tensor | None = None) -> Tensor | None:
    """(batch, …, seq) -> bool (batch or 1, seq): True at the first token of a row or segment; None for neither."""
    if segment_ids is not None:
        return segment_positions(segment_ids) == 0
    if attention_mask is None:
        return None
    return (torch.arange(attention_mask.size(-1), device=attention_mask.device) == 0)[None]


def segment_mask(segment_ids: Tensor) -> Tensor:
    """(batch, seq) -> bool (batch, 1, seq, seq): True where a token attends, to its own segment and not to padding."""
    same = segment_ids[:, :, None] == segment_ids[:, None, :]  # (batch, seq, seq)
    return (same & (segment_ids != 0)[:, None, :])[:, None]  # (batch, 1, seq, seq)


def segment_positions(segment_ids: Tensor) -> Tensor:
    """(batch, seq) -> (batch, seq): 0, 1, 2, … in each segment, and in each run of padding."""
    positions = torch.arange(segment_ids.size(1), device=segment_ids.device).expand_as(segment_ids)  # (batch, seq)
    is_start = torch.ones_like(segment_ids, dtype=torch.bool)
    is_start[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    return positions - positions.where(is_start, 0).cummax(dim=1).values


def segment_onehot(segment_ids: Tensor, num_segments: int) -> Tensor:
    """(batch, seq) -> bool (batch, num_segments, seq): where a token is of segment 1, 2 and so on."""
    numbers = torch.arange(1, num_segments + 1, device=segment_ids.device)
    return segment_ids[:, None, :] == numbers[:, None]  # (batch, num_segments, seq)


def first_tokens(x: Tensor, segment_ids: Tensor, num_segments: int) -> Tensor:
    """Return the first token of each segment: (batch, seq, dim) -> (batch, num_segments, dim).

    Where a row has no such segment, the row's first token stands.
    """
    first = segment_onehot(segment_ids, num_segments).int().argmax(dim=-1)  # (batch, num_segments)
    return x.gather(1, first[:, :, None].expand(-1, -1, x.size(-1)))  # (batch, num_segments, dim)


def count_segments(segment_ids: Tensor, labels: Tensor | None, num_segments: int | None) -> int:
    """Return how many segments a row has at most: as the caller says, or as the labels or the ids show.

    Raises:
        InputError: Nothing shows it, as the code is being compiled or traced.
    """
    if num_segments is None and labels is not None:
        num_segments = labels.size(1)
    if num_segments is None and not (torch.compiler.is_compiling() or torch.jit.is_tracing()):
        num_segments = int(segment_ids.max()) if segment_ids.numel() else 0
    return check_num_segments(num_segments)
