"""The masked-LM loss without logits: labelled positions only, and of those a few hundred at a time.

The gradient of a chunk is known once its loss is, so both are computed in one pass and (tokens x vocab) is never whole.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from distilbert_common.constants import IGNORE_INDEX, LOSS_CHUNK_TOKENS
from distilbert_pt.fast.hooks import is_plain_linear
from distilbert_pt.fast.onednn import multiply
from distilbert_pt.losses import cross_entropy


class ProjectedCrossEntropy(torch.autograd.Function):
    """Sum of the cross-entropies of `x @ table.T + bias` with labels, in chunks of positions."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
        """Compute the sum, and where wanted its gradients.

        Args:
            ctx: Where the gradients are kept for the backward pass.
            x: (tokens, dim).
            table: (vocab, dim).
            bias: (vocab,).
            labels: (tokens,) integers.
        """
        wanted = any(ctx.needs_input_grad)
        total = torch.zeros((), dtype=torch.float32, device=x.device)
        d_x = torch.empty_like(x)
        d_table = None
        d_bias = torch.zeros_like(bias, dtype=torch.float32) if wanted else None
        for start in range(0, len(x), LOSS_CHUNK_TOKENS):
            stop = start + LOSS_CHUNK_TOKENS
            part, targets = x[start:stop], labels[start:stop, None]  # (chunk, dim), (chunk, 1)
            logits = multiply(part, table, bias).float()  # (chunk, vocab)
            norm = logits.logsumexp(dim=-1, keepdim=True)  # (chunk, 1)
            total += (norm - logits.gather(1, targets)).sum()
            if wanted:
                d_logits = logits.sub_(norm).exp_()  # (chunk, vocab)
                d_logits.scatter_add_(1, targets, -torch.ones_like(norm))
                d_bias += d_logits.sum(dim=0)
                d_logits = d_logits.to(x.dtype)
                d_x[start:stop] = multiply(d_logits, table.t())
                d_part = multiply(d_logits.t().float(), part.t().float())  # (vocab, dim)
                d_table = d_part if d_table is None else d_table.add_(d_part)  # the first is the sum itself: no zeros
        if wanted:
            d_table = torch.zeros_like(table) if d_table is None else d_table
            ctx.save_for_backward(d_x, d_table.to(table.dtype), d_bias.to(bias.dtype))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients that the forward pass kept."""
        scaled = [d * d_total.to(d.dtype) for d in ctx.saved_tensors]
        return (*(d if needed else None for d, needed in zip(scaled, ctx.needs_input_grad, strict=False)), None)


def masked_lm_loss(x: Tensor, projector: nn.Module, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy over the positions given.

    Args:
        x: (tokens, dim), what the projector takes, at labelled positions.
        projector: dim -> vocab; one that is not plainly `nn.Linear` is called, and gives all logits at once.
        labels: (tokens,) integers.

    Returns:
        A float32 scalar; 0 where there are no positions.
    """
    if not is_plain_linear(projector) or projector.bias is None:
        return cross_entropy(projector(x), labels)
    if torch.is_autocast_enabled(x.device.type):  # the product is ours, so its dtype is too
        x = x.to(torch.get_autocast_dtype(x.device.type))
    weight, bias = projector.weight.to(x.dtype), projector.bias.to(x.dtype)
    return ProjectedCrossEntropy.apply(x, weight, bias, labels.long()) / max(1, len(labels))


def labelled(labels: Tensor) -> Tensor:
    """(batch, seq) -> (tokens,): the places, among batch * seq, of the labels that count."""
    return (labels.flatten() != IGNORE_INDEX).nonzero()[:, 0]
