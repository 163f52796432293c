"""Every activation in every framework, by its formula in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import pytest
import torch

import distilbert_common
from distilbert_flax.activations import ACTIVATIONS as FLAX
from distilbert_pt.activations import ACTIVATIONS as PT
from distilbert_tf.activations import ACTIVATIONS as TF


def normal_cdf(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def gelu_tanh(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


FORMULAS = {
    "gelu": lambda x: x * normal_cdf(x),
    "gelu_10": lambda x: min(max(x * normal_cdf(x), -10), 10),
    "gelu_accurate": gelu_tanh,
    "gelu_fast": gelu_tanh,
    "gelu_new": gelu_tanh,
    "gelu_python": lambda x: x * normal_cdf(x),
    "gelu_pytorch_tanh": gelu_tanh,
    "laplace": lambda x: 0.5 * (1 + math.erf((x - 0.707107) / (0.282095 * math.sqrt(2)))),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "linear": lambda x: x,
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "quick_gelu": lambda x: x * sigmoid(1.702 * x),
    "relu": lambda x: max(x, 0),
    "relu2": lambda x: max(x, 0) ** 2,
    "relu6": lambda x: min(max(x, 0), 6),
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "tanh": math.tanh,
}

FRAMEWORKS: dict[str, tuple[dict[str, Any], Callable[[np.ndarray], Any]]] = {
    "pt": (PT, torch.from_numpy),
    "tf": (TF, keras.ops.convert_to_tensor),
    "flax": (FLAX, jnp.asarray),
}
"""The activations of each framework, and how it takes an array."""


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_name_of_the_config_is_there(framework: str) -> None:
    assert set(FRAMEWORKS[framework][0]) == set(FORMULAS) == set(distilbert_common.ACTIVATIONS)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", FORMULAS)
def test_values(name: str, framework: str) -> None:
    activations, to_tensor = FRAMEWORKS[framework]
    x = np.concatenate([np.linspace(-6, 6, 61), [-20.0, 20.0]]).astype(np.float32)
    expected = [FORMULAS[name](v) for v in x.tolist()]
    # float32 rounding on values of up to 400; laplace's constants are rounded to six digits in transformers
    assert np.allclose(np.asarray(activations[name](to_tensor(x))), expected, rtol=1e-5, atol=2e-6)
