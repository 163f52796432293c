"""Large batches on a processor, slice after slice, so that what layers hand to each other stays in its caches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

TOKENS = 1024
"""How many tokens a slice has: a feed-forward network's inner values of so many (12 MiB in float32) fit the caches."""


def tokens_at_once() -> int | None:
    """Return how many tokens to run at a time where no gradient is taken; None, all of them, on accelerators."""
    return TOKENS if jax.default_backend() == "cpu" else None


def in_slices(run: Callable[[Any], Any], arrays: Any, rows: int) -> Any:
    """Run a function on some rows of a batch after the other.

    Args:
        run: Takes and returns pytrees of arrays that all begin with the batch.
        arrays: The pytree for the whole batch.
        rows: How many rows to run at a time; fewer at the end.

    Returns:
        What `run` returns for the whole batch.
    """
    batch = jax.tree.leaves(arrays)[0].shape[0]
    whole = batch - batch % rows

    def split(x: Array) -> Array:
        return x[:whole].reshape(-1, rows, *x.shape[1:])  # (slices, rows, …)

    found = jax.lax.map(run, jax.tree.map(split, arrays))
    found = jax.tree.map(lambda x: x.reshape(whole, *x.shape[2:]), found)
    if whole == batch:
        return found
    rest = run(jax.tree.map(lambda x: x[whole:], arrays))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), found, rest)
