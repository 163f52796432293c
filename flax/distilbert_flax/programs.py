"""The programs of compiled calls: models of equal structure share them, and the least recently used one gives way.

A program is found by a description, which holds no module and no variable: that it stays keeps no model in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jax
from flax import nnx
from jax import Array

from distilbert_flax.slices import tokens_at_once
from distilbert_flax.structure import CHANGING, Description, is_training

MOST_PROGRAMS = 256
"""How many programs stay, of all models together."""

Shapes = tuple[tuple[str, Any], ...]
Flags = tuple[tuple[str, Any], ...]
Values = list[Any]


class Program:
    """What runs a model: a function of its variables' values, a call's arrays, and a dropout key or None.

    It returns the output and the variables that the call may change, and is compiled at its first call.
    """

    def __init__(self, run: Callable[..., Any]) -> None:
        self.run = jax.jit(run)
        self._shapes: Any = None

    def __call__(self, values: Values, arrays: Mapping[str, Any], dropout_rng: Array | None) -> tuple[Any, list[Array]]:
        """Run."""
        return self.run(values, arrays, dropout_rng)

    def output_shapes(self, values: Values, arrays: Mapping[str, Any], dropout_rng: Array | None) -> Any:
        """Return the output with shapes in the place of arrays; nothing is computed."""
        if self._shapes is None:
            self._shapes, _ = self.run.eval_shape(values, arrays, dropout_rng)
        return self._shapes


def shapes_of(arrays: Mapping[str, Any]) -> Shapes:
    """Return the shapes of a call's arrays by name, as programs are found by them."""
    return tuple(sorted((name, tuple(x.shape for x in jax.tree.leaves(array))) for name, array in arrays.items()))


@lru_cache(maxsize=MOST_PROGRAMS)
def program(description: Description, flags: Flags, train: bool | None, pure: bool, shapes: Shapes) -> Program:
    """Return the program of a call.

    Args:
        description: The model without its values.
        flags: The arguments of `forward` that are no arrays.
        train: Whether dropout is active; None for the model's mode.
        pure: Whether the values stand for `params`.
        shapes: What `shapes_of` returns.
    """

    def run(values: Values, arrays: Mapping[str, Any], dropout_rng: Array | None) -> tuple[Any, list[Array]]:
        model = nnx.merge(description.graphdef, jax.tree.unflatten(description.treedef, values))
        if not (is_training(model) if train is None else train):  # nor is a gradient taken: no trace is around this one
            model.base_model.tokens_at_once = tokens_at_once()
        output = model._bound(None, dropout_rng, train, pure=pure).forward(**arrays, **dict(flags))
        return output, jax.tree.leaves(nnx.state(model, CHANGING))

    return Program(run)
