"""The activations by their config names."""

from __future__ import annotations

import math
from collections.abc import Callable

from keras import ops

from distilbert_common.config_fields import by_config_name
from distilbert_tf.arrays import Tensor

__all__ = ["ACTIVATIONS"]


def gelu(x: Tensor) -> Tensor:
    """Exact GELU (Hendrycks and Gimpel, arXiv 1606.08415)."""
    return ops.gelu(x, approximate=False)


def gelu_new(x: Tensor) -> Tensor:
    """GELU by the tanh approximation (Hendrycks and Gimpel, arXiv 1606.08415)."""
    return ops.gelu(x, approximate=True)


def gelu_10(x: Tensor) -> Tensor:
    """Exact GELU clipped to [-10, 10]."""
    return ops.clip(gelu(x), -10, 10)


def quick_gelu(x: Tensor) -> Tensor:
    """GELU by the sigmoid approximation."""
    return x * ops.sigmoid(1.702 * x)


def laplace(x: Tensor) -> Tensor:
    """The Laplace activation (Ma et al., arXiv 2209.10655) with transformers' six digits of mu and sigma."""
    return 0.5 * (1 + ops.erf((x - 0.707107) / (0.282095 * math.sqrt(2))))


def leaky_relu(x: Tensor) -> Tensor:
    """ReLU with a slope of 0.01 below zero."""
    return ops.leaky_relu(x, negative_slope=0.01)


def linear(x: Tensor) -> Tensor:
    """The identity."""
    return x


def mish(x: Tensor) -> Tensor:
    """Mish: x tanh(softplus(x)) (Misra, arXiv 1908.08681)."""
    return x * ops.tanh(ops.softplus(x))


def relu2(x: Tensor) -> Tensor:
    """ReLU squared (So et al., arXiv 2109.08668)."""
    return ops.square(ops.relu(x))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = by_config_name({
    "gelu": gelu, "gelu_10": gelu_10, "gelu_new": gelu_new, "laplace": laplace, "leaky_relu": leaky_relu,
    "linear": linear, "mish": mish, "quick_gelu": quick_gelu, "relu": ops.relu, "relu2": relu2, "relu6": ops.relu6,
    "sigmoid": ops.sigmoid, "silu": ops.silu, "tanh": ops.tanh,
})  # fmt: skip
