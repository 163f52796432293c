"""The loss against a teacher's predictions and the masked-LM loss without logits, some hundred tokens at a time.

Student's and teacher's logits of a chunk are compared at once, and the gradients of both losses are summed in one
buffer before it is multiplied: (tokens, vocab) never exists, for neither model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from distilbert_common import soft_targets
from distilbert_common.constants import LOSS_CHUNK_TOKENS
from distilbert_pt.fast.onednn import add_product, multiply

__all__ = ["ProjectedTargets", "Targets", "TopTargets", "chunked_distillation"]


class ProjectedTargets(soft_targets.ProjectedTargets):
    """A teacher's predictions, by what it projects to the vocabulary."""

    def subtract_from(self, log_q: Tensor, chunk: slice, temperature: float) -> Tensor:
        """Replace the student's log probabilities by its probabilities minus the teacher's.

        Args:
            log_q: (chunk, vocab), overwritten.
            chunk: Which tokens they are of.
            temperature: What logits are divided by.

        Returns:
            The sum over the tokens of KL(teacher, student).
        """
        log_p = log_softmax_(multiply(self.x[chunk] / temperature, self.weight, self.bias / temperature).float())
        p = log_p.exp()  # (chunk, vocab)
        divergence = torch.dot(p.flatten(), log_p.sub_(log_q).flatten())
        log_q.exp_().sub_(p)
        return divergence


class TopTargets(soft_targets.TopTargets):
    """A teacher's predictions, by the logits of its most likely tokens."""

    def subtract_from(self, log_q: Tensor, chunk: slice, temperature: float) -> Tensor:
        """See `ProjectedTargets.subtract_from`."""
        indices = self.indices[chunk].long()  # (chunk, k)
        log_p = (self.logits[chunk].float() / temperature).log_softmax(dim=-1)  # (chunk, k)
        p = log_p.exp()
        divergence = (p * (log_p - log_q.gather(1, indices))).sum()
        log_q.exp_().scatter_add_(1, indices, -p)
        return divergence


Targets = ProjectedTargets | TopTargets


class ChunkedDistillation(torch.autograd.Function):
    """Sums of both losses of `x @ weight.T + bias`, in chunks of tokens of which the labeled ones come first."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, targets: Targets, temperature: float,
        label_weight: float,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Compute the sums, and where needed the gradients of the first of them.

        Args:
            ctx: Where the gradients wait for the backward pass.
            x: (tokens, dim).
            weight: (vocab, dim).
            bias: (vocab,).
            labels: (labeled,) integers, those of the first tokens.
            targets: The teacher's predictions for the same tokens.
            temperature: What both models' logits are divided by.
            label_weight: What a cross-entropy counts beside a divergence.

        Returns:
            What `ChunkedLosses` holds.
        """
        sums = torch.zeros(2, dtype=torch.float32, device=x.device)
        needs_grad = any(ctx.needs_input_grad)
        d_x, d_bias = torch.empty_like(x), torch.zeros_like(bias, dtype=torch.float32)
        d_weight = torch.zeros_like(weight, dtype=torch.float32) if needs_grad else None
        softened, soft_bias = x / temperature, bias / temperature  # (tokens, dim), (vocab,)
        for start in range(0, len(x), LOSS_CHUNK_TOKENS):
            chunk = slice(start, start + LOSS_CHUNK_TOKENS)
            log_q = log_softmax_(multiply(softened[chunk], weight, soft_bias).float())  # (chunk, vocab)
            cross_entropy, d_labeled = _cross_entropy(log_q, labels[chunk], temperature)
            sums[1] += cross_entropy
            sums[0] += targets.subtract_from(log_q, chunk, temperature)
            if d_weight is not None:
                d_logits = log_q  # (chunk, vocab), the gradient but for a factor of the temperature
                d_logits[: len(d_labeled)] += d_labeled.mul_(label_weight / temperature)
                d_bias += d_logits.sum(dim=0)
                d_logits = d_logits.to(x.dtype)
                d_x[chunk] = multiply(d_logits, weight.t())
                add_product(d_weight, d_logits.t(), x[chunk])
        divergence, cross_entropy = sums[0] * temperature**2, sums[1]
        if d_weight is not None:
            ctx.save_for_backward(d_x, d_weight.to(weight.dtype), d_bias.to(bias.dtype))
            ctx.temperature = temperature
        ctx.mark_non_differentiable(divergence, cross_entropy)
        return divergence + label_weight * cross_entropy, divergence, cross_entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients that the forward pass computed."""
        factor = d_total * ctx.temperature
        scaled = [d.mul_(factor.to(d.dtype)) for d in ctx.saved_tensors]  # in place: a second pass is an error anyway
        used = (d if needed else None for d, needed in zip(scaled, ctx.needs_input_grad, strict=False))
        return (*used, None, None, None, None)


def chunked_distillation(
    x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, targets: Targets, temperature: float, label_weight: float
) -> soft_targets.ChunkedLosses:
    """Return the sums of both losses; arguments as `ChunkedDistillation.forward`."""
    if torch.is_autocast_enabled(x.device.type):  # the product is ours, so its dtype is too
        x = x.to(torch.get_autocast_dtype(x.device.type))
    weight, bias = weight.to(x.dtype), bias.to(x.dtype)
    with torch.autocast(x.device.type, enabled=False):
        sums = ChunkedDistillation.apply(x, weight, bias, labels.long(), targets, temperature, label_weight)
    return soft_targets.ChunkedLosses(*sums)


def log_softmax_(logits: Tensor) -> Tensor:
    """Replace logits (chunk, vocab) by their log probabilities."""
    return torch._log_softmax(logits, 1, False, out=logits)


def _cross_entropy(log_q: Tensor, labels: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the sum of the cross-entropies of the first rows, and its gradient for their logits.

    Args:
        log_q: (chunk, vocab), log probabilities at the temperature.
        labels: (labeled,) integers.
        temperature: What the logits were divided by.

    Returns:
        A scalar, and (labeled, vocab).
    """
    targets = labels[:, None]  # (labeled, 1)
    log_probabilities = log_softmax_(log_q[: len(labels)] * temperature)  # (labeled, vocab)
    total = -log_probabilities.gather(1, targets).sum()
    d_logits = log_probabilities.exp_()  # (labeled, vocab)
    return total, d_logits.scatter_add_(1, targets, -torch.ones_like(targets, dtype=d_logits.dtype))
