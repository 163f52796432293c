"""The masked-LM loss without logits: labeled positions only, and of those a few hundred at a time.

The gradient of a chunk is known once its loss is, so both are computed in one pass; (tokens, vocab) never exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from distilbert_common.constants import LOSS_CHUNK_TOKENS
from distilbert_pt.fast.custom_gradients import differentiable_gradients
from distilbert_pt.fast.onednn import add_product, multiply

__all__ = [
    "Gradients",
    "as_needed",
    "chunked_cross_entropy",
    "in_dtype_of_products",
    "whole_logits",
]

BFLOAT16_TOKENS = 4 * LOSS_CHUNK_TOKENS
"""Of so many tokens gradients in bfloat16 are kept, to be multiplied at once: each product for the weights is rounded,
and added in float32, which takes a sixth of its time."""


class Gradients:
    """The gradients of a loss of `x @ weight.T + bias` for the three, summed over chunks of tokens that come in order.

    Args:
        x: (tokens, dim), in the dtype of products.
        weight: (vocab, dim), in that dtype.
    """

    def __init__(self, x: Tensor, weight: Tensor) -> None:
        self._x, self._weight = x, weight
        self._d_x, self._d_bias = torch.empty_like(x), x.new_zeros(len(weight), dtype=torch.float32)
        self._d_weight: Tensor | None = None
        self._most = BFLOAT16_TOKENS if x.dtype == torch.bfloat16 else LOSS_CHUNK_TOKENS
        is_rounded = x.dtype != torch.float32
        self._rounded = x.new_empty(min(self._most, len(x)), len(weight)) if is_rounded else None

    def add(self, d_logits: Tensor, tokens: slice) -> None:
        """Add what follows from the gradients of logits: float32 (chunk, vocab), for all but the last whole chunks."""
        self._d_bias += d_logits.sum(dim=0)
        if self._rounded is not None:
            first = tokens.start - tokens.start % self._most
            buffer = self._rounded[: tokens.stop - first]  # (buffered tokens, vocab)
            buffer[tokens.start - first :] = d_logits
            if len(buffer) < self._most and tokens.stop < len(self._x):
                return
            d_logits, tokens = buffer, slice(first, tokens.stop)
        self._d_x[tokens] = multiply(d_logits, self._weight.t())
        self._d_weight = add_product(self._d_weight, d_logits.t(), self._x[tokens])

    def all(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return those for x (tokens, dim), and in float32 for weight (vocab, dim) and bias (vocab,)."""
        d_weight = self._d_weight
        if d_weight is None:  # there are no tokens
            d_weight = torch.zeros_like(self._weight, dtype=torch.float32)
        return self._d_x, d_weight, self._d_bias


class ChunkedCrossEntropy(torch.autograd.Function):
    """Sum of the cross-entropies of `x @ weight.T + bias` with labels, in chunks of positions."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
        """Compute the sum, and where needed its gradients.

        Args:
            ctx: Where the gradients wait for the backward pass.
            x: (tokens, dim), in the dtype of products.
            weight: (vocab, dim), of any dtype, as the bias.
            bias: (vocab,).
            labels: (tokens,) integers.
        """
        total, inputs = torch.zeros((), dtype=torch.float32, device=x.device), (x, weight, bias)
        ctx.dtypes, weight, bias = (x.dtype, weight.dtype, bias.dtype), weight.to(x.dtype), bias.to(x.dtype)
        gradients = Gradients(x, weight) if any(ctx.needs_input_grad) else None
        for start in range(0, len(x), LOSS_CHUNK_TOKENS):
            chunk = slice(start, min(start + LOSS_CHUNK_TOKENS, len(x)))
            targets = labels[chunk, None]  # (chunk, 1)
            logits = multiply(x[chunk], weight, bias).float()  # (chunk, vocab)
            norm = logits.logsumexp(dim=-1, keepdim=True)  # (chunk, 1)
            total += (norm - logits.gather(1, targets)).sum()
            if gradients is not None:
                d_logits = logits.sub_(norm).exp_()  # (chunk, vocab)
                gradients.add(d_logits.scatter_add_(1, targets, -torch.ones_like(norm)), chunk)
        if gradients is not None:
            ctx.save_for_backward(*gradients.all(), *inputs, labels)
        return total

    @staticmethod
    def backward(ctx: Any, d_total: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients that the forward pass computed."""
        d_x, d_weight, d_bias, *inputs, labels = ctx.saved_tensors
        if torch.is_grad_enabled():  # with `create_graph`
            return (*differentiable_gradients(partial(whole, labels), inputs, d_total, ctx.needs_input_grad), None)
        return (*as_needed([d * d_total for d in (d_x, d_weight, d_bias)], ctx), None)


def whole(labels: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the sum of the cross-entropies, of whole logits."""
    return F.cross_entropy(whole_logits(x, weight, bias), labels, reduction="sum")


def whole_logits(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(tokens, dim), (vocab, dim), (vocab,) -> float32 (tokens, vocab)."""
    return F.linear(x, weight.to(x.dtype), bias.to(x.dtype)).float()


def as_needed(gradients: Sequence[Tensor], ctx: Any) -> list[Tensor | None]:
    """Return the gradients for x, weight and bias in the dtypes of these; None where none is asked for."""
    needed = ctx.needs_input_grad[: len(gradients)]
    return [d.to(dtype) if need else None for d, dtype, need in zip(gradients, ctx.dtypes, needed, strict=True)]


def in_dtype_of_products(x: Tensor, weight: Tensor) -> Tensor:
    """Return what is multiplied by a weight in the dtype that PyTorch would cast both to."""
    device = x.device.type
    is_cast = torch.is_autocast_enabled(device) and weight.dtype != torch.float64
    return x.to(torch.get_autocast_dtype(device) if is_cast else weight.dtype)


def chunked_cross_entropy(x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of `x @ weight.T + bias` with labels; 0 where there are none.

    Args:
        x: (tokens, dim).
        weight: (vocab, dim).
        bias: (vocab,).
        labels: (tokens,) integers.
    """
    x = in_dtype_of_products(x, weight)
    with torch.autocast(x.device.type, enabled=False):
        total: Tensor = ChunkedCrossEntropy.apply(x, weight, bias, labels.long())
    return total / max(1, len(labels))
