"""Large batches on a processor, slice after slice, so that what layers hand to each other stays in its caches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array

T = TypeVar("T")

TOKENS = 1024
"""How many tokens a slice has: a feed-forward network's inner values of so many (12 MiB in float32) fit the caches."""


def tokens_at_once() -> int | None:
    """Return how many tokens to run at a time where no gradient is taken; None, all of them, on accelerators."""
    return TOKENS if jax.default_backend() == "cpu" else None


def in_slices(run: Callable[[Array, Array | None], T], x: Array, mask: Array | None, tokens: int | None) -> T:
    """Run layers on some rows of a batch after the other.

    Args:
        run: Takes rows and their mask, and returns a pytree of arrays that all begin with the batch.
        x: (batch, seq, dim).
        mask: (batch or 1, …), or None.
        tokens: How many tokens to run at a time, in whole rows and at least one; None for all.

    Returns:
        What `run` returns for the whole batch.
    """
    batch, seq = x.shape[:2]
    rows = max(1, tokens // max(1, seq)) if tokens else batch
    if rows >= batch:
        return run(x, mask)
    mask = None if mask is None else jnp.broadcast_to(mask, (batch, *mask.shape[1:]))
    whole = batch - batch % rows

    def split(each: Array) -> Array:
        return each[:whole].reshape(-1, rows, *each.shape[1:])  # (slices, rows, …)

    found = jax.lax.map(lambda part: run(*part), jax.tree.map(split, (x, mask)))
    found = jax.tree.map(lambda each: each.reshape(whole, *each.shape[2:]), found)
    if whole == batch:
        return found
    rest = run(*jax.tree.map(lambda each: each[whole:], (x, mask)))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), found, rest)
