"""Attention with dropout on the CPU, where PyTorch has no fused kernel.

What PyTorch does step by step it does all in float32, and it looks for rows that a mask closes. Here scores and softmax
alone are float32, as in its fused kernels, and `sdpa_attention` leaves no row closed. The random numbers are the same.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd

from distilbert_common.constants import is_fast
from distilbert_pt.fast.custom_gradients import differentiable_gradients
from distilbert_pt.fast.onednn import DTYPES, is_observed

__all__ = ["scaled_dot_product_attention"]


class DropoutAttention(torch.autograd.Function):
    """Attention with dropout, differentiable any number of times; batch and heads are one axis."""

    @staticmethod
    @custom_fwd(device_type="cpu")
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
        """Three of (batch * heads, seq, head_dim) -> the same; the mask (batch, 1 or heads, 1 or seq, seq) is added."""
        probabilities = attention_probabilities(query, key, mask)  # (batch * heads, seq, seq)
        kept = torch.empty_like(probabilities).bernoulli_(1 - dropout)
        ctx.save_for_backward(query, key, value, mask, probabilities, kept)
        ctx.dropout = dropout
        # the context is divided, not what is kept: bfloat16 rounds 1 / 0.9 to 1.109, and always so
        return torch.bmm(probabilities * kept, value).div_(1 - dropout)

    @staticmethod
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, d_context: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of query, key and value."""
        query, key, value, mask, probabilities, kept = ctx.saved_tensors
        if torch.is_grad_enabled():  # with `create_graph`
            again = partial(attend_again, mask, kept, ctx.dropout)
            return (*differentiable_gradients(again, (query, key, value), d_context, ctx.needs_input_grad), None, None)
        d_context = d_context / (1 - ctx.dropout)
        weights = probabilities * kept  # (batch * heads, seq, seq)
        d_scores = torch.bmm(d_context, value.mT).mul_(weights)
        d_scores.addcmul_(probabilities, d_scores.sum(dim=-1, keepdim=True), value=-1)
        scale = 1 / math.sqrt(query.size(-1))
        d_query, d_key = torch.bmm(d_scores, key).mul_(scale), torch.bmm(d_scores.mT, query).mul_(scale)
        return d_query, d_key, torch.bmm(weights.mT, d_context), None, None


def attention_probabilities(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    """Return softmax(query @ key.T / sqrt(head_dim) + mask), computed in float32: (batch * heads, seq, seq)."""
    scores = torch.bmm(query.float() / math.sqrt(query.size(-1)), key.float().mT)
    if mask is not None:
        scores.unflatten(0, (len(mask), -1)).add_(mask)
    return scores.softmax(dim=-1).to(query.dtype)


def attend_again(
    mask: Tensor | None, kept: Tensor, dropout: float, query: Tensor, key: Tensor, value: Tensor
) -> Tensor:
    """Return what `DropoutAttention` does where it keeps the same, by operators that PyTorch differentiates."""
    return torch.bmm(attention_probabilities(query, key, mask) * kept, value) / (1 - dropout)


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> Tensor:
    """Return what PyTorch's function of this name does.

    Args:
        query: (batch, heads, seq, head_dim), as key and value.
        key: What the query is compared with.
        value: What is averaged.
        mask: To be added to the scores, and broadcast to (batch, heads, seq, seq); it closes no row by -inf.
        dropout: The share of probabilities that is zeroed.
    """
    if not can_compute(query, key, value, mask, dropout):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    batch_and_heads = query.shape[:2]
    if mask is not None:
        mask = mask.expand(len(query), *mask.shape[1:])  # (batch, 1 or heads, 1 or seq, seq)
    with torch.autocast("cpu", enabled=False):
        flat = (x.flatten(0, 1) for x in (query, key, value))  # three of (batch * heads, seq, head_dim)
        context: Tensor = DropoutAttention.apply(*flat, mask, dropout)
    return context.unflatten(0, batch_and_heads)  # (batch, heads, seq, head_dim)


def can_compute(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> bool:
    """Whether there is dropout, and nothing else that is not plain."""
    return (
        0 < dropout < 1
        and is_fast()
        and not is_observed()
        and all(type(x) is Tensor and x.is_cpu and x.dtype == query.dtype for x in (query, key, value))
        and query.dtype in DTYPES
        and (not torch.is_autocast_enabled("cpu") or query.dtype == torch.get_autocast_dtype("cpu"))
        and query.numel() > 0
        and not (mask is not None and mask.requires_grad)
    )
