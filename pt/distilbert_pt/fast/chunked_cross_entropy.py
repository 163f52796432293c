"""The masked-LM loss without logits: labeled positions only, and of those a few hundred at a time.

The gradient of a chunk is known once its loss is, so both are computed in one pass; (tokens, vocab) never exists.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from distilbert_common.constants import LOSS_CHUNK_TOKENS
from distilbert_pt.fast.onednn import add_product, multiply

__all__ = ["chunked_cross_entropy"]


class ChunkedCrossEntropy(torch.autograd.Function):
    """Sum of the cross-entropies of `x @ weight.T + bias` with labels, in chunks of positions."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
        """Compute the sum, and where needed its gradients.

        Args:
            ctx: Where the gradients wait for the backward pass.
            x: (tokens, dim).
            weight: (vocab, dim).
            bias: (vocab,).
            labels: (tokens,) integers.
        """
        total = torch.zeros((), dtype=torch.float32, device=x.device)
        needs_grad = any(ctx.needs_input_grad)
        d_x, d_bias = torch.empty_like(x), torch.zeros_like(bias, dtype=torch.float32)
        d_weight = torch.zeros_like(weight, dtype=torch.float32) if needs_grad else None
        for start in range(0, len(x), LOSS_CHUNK_TOKENS):
            chunk = slice(start, start + LOSS_CHUNK_TOKENS)
            targets = labels[chunk, None]  # (chunk, 1)
            logits = multiply(x[chunk], weight, bias).float()  # (chunk, vocab)
            norm = logits.logsumexp(dim=-1, keepdim=True)  # (chunk, 1)
            total += (norm - logits.gather(1, targets)).sum()
            if d_weight is not None:
                d_logits = logits.sub_(norm).exp_()  # (chunk, vocab)
                d_logits.scatter_add_(1, targets, -torch.ones_like(norm))
                d_bias += d_logits.sum(dim=0)
                d_logits = d_logits.to(x.dtype)
                d_x[chunk] = multiply(d_logits, weight.t())
                add_product(d_weight, d_logits.t(), x[chunk])
        if d_weight is not None:
            ctx.save_for_backward(d_x, d_weight.to(weight.dtype), d_bias.to(bias.dtype))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients that the forward pass computed."""
        scaled = [d * d_total.to(d.dtype) for d in ctx.saved_tensors]
        return (*(d if needed else None for d, needed in zip(scaled, ctx.needs_input_grad, strict=False)), None)


def chunked_cross_entropy(x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of `x @ weight.T + bias` with labels; 0 where there are none.

    Args:
        x: (tokens, dim).
        weight: (vocab, dim).
        bias: (vocab,).
        labels: (tokens,) integers.
    """
    if torch.is_autocast_enabled(x.device.type):  # the product is ours, so its dtype is too
        x = x.to(torch.get_autocast_dtype(x.device.type))
    weight, bias = weight.to(x.dtype), bias.to(x.dtype)
    total: Tensor = ChunkedCrossEntropy.apply(x, weight, bias, labels.long())
    return total / max(1, len(labels))
