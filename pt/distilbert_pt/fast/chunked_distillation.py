"""The loss against a teacher's predictions and the masked-LM loss without logits, some hundred tokens at a time.

Student's and teacher's logits of a chunk are compared at once, and the gradients of both losses are summed in one
buffer before it is multiplied: (tokens, vocab) never exists, for neither model.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from distilbert_common import soft_targets
from distilbert_common.constants import LOSS_CHUNK_TOKENS
from distilbert_pt.fast.chunked_cross_entropy import (
    Gradients,
    as_needed,
    in_dtype_of_products,
    whole_logits,
)
from distilbert_pt.fast.custom_gradients import differentiable_gradients
from distilbert_pt.fast.onednn import multiply
from distilbert_pt.losses import kl_divergence
from distilbert_pt.soft_targets import top_divergence

__all__ = ["ProjectedTargets", "Targets", "TopTargets", "chunked_distillation"]


class Softened:
    """Softened log probabilities of a projection to the vocabulary, of a chunk of tokens at a time."""

    def __init__(self, weight: Tensor, bias: Tensor, temperature: float, chunk: int) -> None:
        """Take memory for a chunk of tokens; weight (vocab, dim), bias (vocab,)."""
        self._weight, self._bias, self._temperature = weight, bias / temperature, temperature
        self._room = room_for(weight, chunk)

    def __call__(self, x: Tensor) -> Tensor:
        """(tokens, dim) -> float32 (tokens, vocab), which the caller may overwrite."""
        logits = multiply(x / self._temperature, self._weight, self._bias)
        return log_softmax_(logits if self._room is None else self._room[: len(x)].copy_(logits))


def room_for(weight: Tensor, chunk: int) -> Tensor | None:
    """Return float32 memory (chunk, vocab) that all chunks take in turn where products are in another dtype, else None.

    Memory that is taken anew is cleared first, page by page: for each chunk that would be a tenth of the time of all.
    Beside products in float32 it is less, and memory counts more.
    """
    return None if weight.dtype == torch.float32 else weight.new_empty(chunk, len(weight), dtype=torch.float32)


Subtract = Callable[[Tensor, slice], Tensor]
"""Replaces a student's log probabilities (chunk, vocab) of the tokens of a slice by its probabilities minus the
teacher's, and returns the sum over these tokens of KL(teacher, student)."""


class ProjectedTargets(soft_targets.ProjectedTargets):
    """A teacher's predictions, by what it projects to the vocabulary."""

    def subtraction(self, temperature: float, chunk: int) -> Subtract:
        """Return what compares chunks of up to so many tokens."""
        teacher, room = Softened(self.weight, self.bias, temperature, chunk), room_for(self.weight, chunk)

        def subtract(log_q: Tensor, tokens: slice) -> Tensor:
            log_p = teacher(self.x[tokens])  # (chunk, vocab)
            p = torch.exp(log_p, out=None if room is None else room[: len(log_p)])  # (chunk, vocab)
            divergence = torch.dot(p.flatten(), log_p.sub_(log_q).flatten())
            log_q.exp_().sub_(p)
            return divergence

        return subtract

    def divergences(self, logits: Tensor, temperature: float) -> Tensor:
        """Compare whole logits: (tokens, vocab) -> (tokens,)."""
        return kl_divergence(logits, whole_logits(self.x, self.weight, self.bias), temperature)


class TopTargets(soft_targets.TopTargets):
    """A teacher's predictions, by the logits of its most likely tokens."""

    def subtraction(self, temperature: float, chunk: int) -> Subtract:
        """Return what compares chunks of tokens."""

        def subtract(log_q: Tensor, tokens: slice) -> Tensor:
            indices = self.indices[tokens].long()  # (chunk, k)
            log_p = (self.logits[tokens].float() / temperature).log_softmax(dim=-1)  # (chunk, k)
            p = log_p.exp()
            divergence = (p * (log_p - log_q.gather(1, indices))).sum()
            log_q.exp_().scatter_add_(1, indices, -p)
            return divergence

        return subtract

    def divergences(self, logits: Tensor, temperature: float) -> Tensor:
        """Compare whole logits: (tokens, vocab) -> (tokens,)."""
        return top_divergence(logits, self.indices, self.logits, temperature)


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
            x: (tokens, dim), in the dtype of products.
            weight: (vocab, dim), of any dtype, as the bias.
            bias: (vocab,).
            labels: (labeled,) integers, those of the first tokens.
            targets: The teacher's predictions for the same tokens.
            temperature: What both models' logits are divided by.
            label_weight: What a cross-entropy counts beside a divergence.

        Returns:
            What `ChunkedLosses` holds.
        """
        sums, inputs = torch.zeros(2, dtype=torch.float32, device=x.device), (x, weight, bias)
        ctx.dtypes, weight, bias = (x.dtype, weight.dtype, bias.dtype), weight.to(x.dtype), bias.to(x.dtype)
        gradients = Gradients(x, weight) if any(ctx.needs_input_grad) else None
        size = min(len(x), LOSS_CHUNK_TOKENS)
        student, subtract = Softened(weight, bias, temperature, size), targets.subtraction(temperature, size)
        for start in range(0, len(x), LOSS_CHUNK_TOKENS):
            chunk = slice(start, min(start + LOSS_CHUNK_TOKENS, len(x)))
            log_q = student(x[chunk])  # (chunk, vocab)
            cross_entropy, d_labeled = _cross_entropy(log_q, labels[chunk], temperature)
            sums[1] += cross_entropy
            sums[0] += subtract(log_q, chunk)
            if gradients is not None:
                d_logits = log_q  # (chunk, vocab), the gradient but for a factor of the temperature
                d_logits[: len(d_labeled)].add_(d_labeled, alpha=label_weight / temperature)
                gradients.add(d_logits, chunk)
        divergence, cross_entropy = sums[0] * temperature**2, sums[1]
        if gradients is not None:
            ctx.gradients, ctx.temperature = gradients.all(), temperature
            ctx.total = partial(whole, labels, targets, temperature, label_weight)
            ctx.save_for_backward(*inputs)
        ctx.mark_non_differentiable(divergence, cross_entropy)
        return divergence + label_weight * cross_entropy, divergence, cross_entropy

    @staticmethod
    def backward(ctx: Any, d_total: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients that the forward pass computed, in place; held by nobody else, they become `grad`."""
        if torch.is_grad_enabled():  # with `create_graph`
            again = differentiable_gradients(ctx.total, ctx.saved_tensors, d_total, ctx.needs_input_grad)
            return (*again, None, None, None, None)
        gradients, ctx.gradients, ctx.total = ctx.gradients, None, None
        if gradients is None:
            raise RuntimeError("the gradients of this loss of distillation were taken before; compute it again")
        scaled = [d.mul_(d_total * ctx.temperature) for d in gradients]
        return (*as_needed(scaled, ctx), None, None, None, None)


def whole(
    labels: Tensor, targets: Targets, temperature: float, label_weight: float, x: Tensor, weight: Tensor, bias: Tensor
) -> Tensor:
    """Return the weighted sum of both losses, of whole logits; arguments as `ChunkedDistillation.forward`."""
    logits = whole_logits(x, weight, bias)  # (tokens, vocab)
    divergence = targets.divergences(logits, temperature).sum() * temperature**2
    return divergence + label_weight * F.cross_entropy(logits[: len(labels)], labels, reduction="sum")


def chunked_distillation(
    x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, targets: Targets, temperature: float, label_weight: float
) -> soft_targets.ChunkedLosses:
    """Return the sums of both losses; arguments as `ChunkedDistillation.forward`."""
    x = in_dtype_of_products(x, weight)
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
