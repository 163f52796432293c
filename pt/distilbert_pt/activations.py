"""The activations by their config names."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from distilbert_common.config_fields import by_config_name

__all__ = ["ACTIVATIONS"]


def gelu_new(x: Tensor) -> Tensor:
    """GELU by the tanh approximation (Hendrycks and Gimpel, arXiv 1606.08415)."""
    return F.gelu(x, approximate="tanh")


def gelu_10(x: Tensor) -> Tensor:
    """Exact GELU clipped to [-10, 10]."""
    return F.gelu(x).clamp(-10, 10)


def quick_gelu(x: Tensor) -> Tensor:
    """GELU by the sigmoid approximation."""
    return x * torch.sigmoid(1.702 * x)


def laplace(x: Tensor) -> Tensor:
    """The Laplace activation (Ma et al., arXiv 2209.10655) with transformers' six digits of mu and sigma."""
    return 0.5 * (1 + torch.erf((x - 0.707107) / (0.282095 * math.sqrt(2))))


def relu2(x: Tensor) -> Tensor:
    """ReLU squared (So et al., arXiv 2109.08668)."""
    return F.relu(x).square()


def linear(x: Tensor) -> Tensor:
    """The identity."""
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = by_config_name({
    "gelu": F.gelu, "gelu_10": gelu_10, "gelu_new": gelu_new, "laplace": laplace, "leaky_relu": F.leaky_relu,
    "linear": linear, "mish": F.mish, "quick_gelu": quick_gelu, "relu": F.relu, "relu2": relu2, "relu6": F.relu6,
    "sigmoid": torch.sigmoid, "silu": F.silu, "tanh": torch.tanh,
})  # fmt: skip
