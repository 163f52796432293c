"""Packed rows: several sequences to a row, told apart by `segment_ids`, which `distilbert_common.packing` makes.

Segment 0 is padding. Shapes depend on the row alone, so that compiled code serves any content.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distilbert_common.checks import check_num_segments


def segment_mask(segment_ids: Tensor) -> Tensor:
    """(batch, seq) -> bool (batch, 1, seq, seq): True where a token attends, to its own segment and not to padding."""
    same = segment_ids[:, :, None] == segment_ids[:, None, :]  # (batch, seq, seq)
    return (same & (segment_ids != 0)[:, None, :])[:, None]  # (batch, 1, seq, seq)


def segment_positions(segment_ids: Tensor) -> Tensor:
    """(batch, seq) -> (batch, seq): 0, 1, 2, … in each segment, and in each run of padding."""
    places = torch.arange(segment_ids.size(1), device=segment_ids.device).expand_as(segment_ids)  # (batch, seq)
    begins = torch.ones_like(segment_ids, dtype=torch.bool)
    begins[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    return places - places.where(begins, 0).cummax(dim=1).values


def belongs(segment_ids: Tensor, num_segments: int) -> Tensor:
    """(batch, seq) -> bool (batch, num_segments, seq): where a token is of segment 1, 2 and so on."""
    numbers = torch.arange(1, num_segments + 1, device=segment_ids.device)
    return segment_ids[:, None, :] == numbers[:, None]  # (batch, num_segments, seq)


def first_tokens(x: Tensor, segment_ids: Tensor, num_segments: int) -> Tensor:
    """Return the first token of each segment: (batch, seq, dim) -> (batch, num_segments, dim).

    Where a row has no such segment, the row's first token stands.
    """
    first = belongs(segment_ids, num_segments).int().argmax(dim=-1)  # (batch, num_segments)
    return x.gather(1, first[:, :, None].expand(-1, -1, x.size(-1)))  # (batch, num_segments, dim)


def count_segments(segment_ids: Tensor, labels: Tensor | None, num_segments: int | None) -> int:
    """Return how many segments a row has at most: what is given, or what the labels or the ids show.

    Raises:
        InputError: Nothing shows it, as the code is being compiled or traced.
    """
    if num_segments is None and labels is not None:
        num_segments = labels.size(1)
    if num_segments is None and not (torch.compiler.is_compiling() or torch.jit.is_tracing()):
        num_segments = int(segment_ids.max()) if segment_ids.numel() else 0
    return check_num_segments(num_segments)
