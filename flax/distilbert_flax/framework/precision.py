"""NNX fixes what a layer computes in when it is made: a model that computes in another precision is a twin of it."""

from __future__ import annotations

from typing import TypeVar

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

__all__ = ["computing_in"]

M = TypeVar("M", bound=nnx.Module)


def computing_in(model: M, dtype: DTypeLike | None) -> M:
    """Return a model with the same variables whose layers compute in a dtype; the model itself where that is its own.

    Args:
        model: The model.
        dtype: What to compute in; None for the model's own.
    """
    model_dtype = model.dtype
    if dtype is None or jnp.dtype(dtype) == model_dtype:
        return model
    twin = nnx.clone(model, variables=False)
    for _, module in nnx.iter_modules(twin):
        if getattr(module, "dtype", None) == model_dtype:
            module.dtype = jnp.dtype(dtype)
    return twin
