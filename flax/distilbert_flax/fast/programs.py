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

from distilbert_flax.fast.batch_chunks import ChunkedTransformer, chunk_tokens
from distilbert_flax.fast.snapshots import CHANGING, Description, is_per_token, is_training
from distilbert_flax.framework.variables import bind

__all__ = ["MAX_PROGRAMS", "program", "shapes_of"]

MAX_PROGRAMS = 256
"""How many programs stay, of all models together."""

Shapes = tuple[tuple[str, Any], ...]
Flags = tuple[tuple[str, Any], ...]
Values = list[Any]
Program = Callable[[Values, Mapping[str, Any], Array | None], tuple[Any, dict[int, Array]]]
"""Runs a model, given its variables' values, a call's arrays, and a dropout key or None.

Returns the output, and the new values of the changing variables that the call has changed, by their number.
"""


def shapes_of(arrays: Mapping[str, Any]) -> Shapes:
    """Return the shapes of a call's arrays by name, as programs are found by them."""
    return tuple(
        (name, tuple(getattr(x, "shape", None) for x in array) if isinstance(array, tuple) else array.shape)
        for name, array in sorted(arrays.items())
    )


@lru_cache(maxsize=MAX_PROGRAMS)
def program(description: Description, flags: Flags, train: bool | None, pure: bool, shapes: Shapes) -> Program:
    """Return the program of a call; it is compiled at its first run.

    Args:
        description: The model without its values.
        flags: The arguments of `forward` that are no arrays.
        train: Whether dropout is active; None for the model's mode.
        pure: Whether the values stand for `params`.
        shapes: What `shapes_of` returns.
    """

    def run(values: Values, arrays: Mapping[str, Any], dropout_rng: Array | None) -> tuple[Any, dict[int, Array]]:
        model: Any = nnx.merge(description.graphdef, jax.tree.unflatten(description.treedef, values))
        changing = [variable for _, variable in nnx.to_flat_state(nnx.state(model, CHANGING))]
        before = [variable.get_raw_value() for variable in changing]
        bound = bind(model, None, dropout_rng, train, pure=pure)  # which has the same variables
        chunk_batch(bound)
        output = bound.forward(**arrays, **dict(flags))
        after = (variable.get_raw_value() for variable in changing)
        return output, {i: new for i, (new, old) in enumerate(zip(after, before, strict=True)) if new is not old}

    compiled: Program = jax.jit(run)
    return compiled


def chunk_batch(model: Any) -> None:
    """Let a model that is used once run on some rows of a batch after the other, where each token is by itself.

    No gradient is taken of what a program runs, as no trace is around it.
    """
    transformer = getattr(model.base_model, "transformer", None)
    if transformer is None or chunk_tokens() is None or is_training(model):
        return
    if all(is_per_token(module) for _, module in nnx.iter_modules(transformer)):
        model.base_model.transformer = ChunkedTransformer(transformer, chunk_tokens())
