"""Activations that the backward pass computes again: they are cheap to compute and large to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import jax
from jax import Array

from distilbert_common.constants import is_fast

__all__ = ["Recomputed", "recomputed"]


@dataclass(frozen=True)
class Recomputed:
    """A function whose inner values are not kept for the backward pass.

    Attributes:
        function: What is computed.
    """

    function: Callable[[Array], Array]

    def __call__(self, x: Array) -> Array:
        """Compute."""
        return jax.checkpoint(self.function)(x) if is_fast() else self.function(x)


@lru_cache
def recomputed(function: Callable[[Array], Array]) -> Recomputed:
    """Return the function, which keeps nothing for the backward pass; the same object for the same function."""
    return Recomputed(function)
