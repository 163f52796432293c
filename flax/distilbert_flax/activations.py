"""The activations by their config names."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from distilbert_common.config_fields import by_config_name

# JAX's own are compiled objects, which cannot be pickled; a model that holds one of these functions can.


def gelu(x: Array) -> Array:
    """Exact GELU (Hendrycks and Gimpel, arXiv 1606.08415)."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))  # 1 + erf cancels below zero, in few digits to nothing
    return (0.5 * wide * (1 + jax.lax.erf(wide * math.sqrt(0.5)))).astype(x.dtype)  # JAX's gelu: erfc, two branches


def gelu_new(x: Array) -> Array:
    """GELU by the tanh approximation (Hendrycks and Gimpel, arXiv 1606.08415)."""
    return jax.nn.gelu(x, approximate=True)


def gelu_10(x: Array) -> Array:
    """Exact GELU clipped to [-10, 10]."""
    return gelu(x).clip(-10, 10)


def quick_gelu(x: Array) -> Array:
    """GELU by the sigmoid approximation."""
    return x * jax.nn.sigmoid(1.702 * x)


def laplace(x: Array) -> Array:
    """The Laplace activation (Ma et al., arXiv 2209.10655) with transformers' six digits of mu and sigma."""
    return 0.5 * (1 + jax.lax.erf((x - 0.707107) / (0.282095 * math.sqrt(2))))


def leaky_relu(x: Array) -> Array:
    """ReLU with a slope of 0.01 below zero."""
    return jax.nn.leaky_relu(x)


def linear(x: Array) -> Array:
    """The identity."""
    return x


def mish(x: Array) -> Array:
    """Mish: x tanh(softplus(x)) (Misra, arXiv 1908.08681)."""
    return jax.nn.mish(x)


def relu(x: Array) -> Array:
    """The positive part."""
    return jax.nn.relu(x)


def relu2(x: Array) -> Array:
    """ReLU squared (So et al., arXiv 2109.08668)."""
    return jnp.square(relu(x))


def relu6(x: Array) -> Array:
    """ReLU clipped at 6."""
    return jax.nn.relu6(x)


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return jax.nn.sigmoid(x)


def silu(x: Array) -> Array:
    """SiLU, also called swish: x sigmoid(x)."""
    return jax.nn.silu(x)


def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return jnp.tanh(x)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = by_config_name({
    "gelu": gelu, "gelu_10": gelu_10, "gelu_new": gelu_new, "laplace": laplace, "leaky_relu": leaky_relu,
    "linear": linear, "mish": mish, "quick_gelu": quick_gelu, "relu": relu, "relu2": relu2, "relu6": relu6,
    "sigmoid": sigmoid, "silu": silu, "tanh": tanh,
})  # fmt: skip
