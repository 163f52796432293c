"""Gradients that can be differentiated again, for functions that compute their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["differentiable_gradients"]


def differentiable_gradients(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], d_output: Tensor, needed: Sequence[bool]
) -> list[Tensor | None]:
    """Return the gradients of a function by what PyTorch records of it, for each input where it is needed.

    Args:
        function: Of the inputs.
        inputs: Tensors.
        d_output: The gradient of what it returns.
        needed: Whether an input's gradient is; what follows those of the inputs is left aside.
    """
    inputs = [each.view_as(each) for each in inputs]  # one may come from another, as from a weight that is tied
    asked = [each for each, need in zip(inputs, needed, strict=False) if need]
    gradients = iter(torch.autograd.grad(function(*inputs), asked, d_output, create_graph=True))
    return [next(gradients) if need else None for need in needed[: len(inputs)]]
