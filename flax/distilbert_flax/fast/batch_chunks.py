"""Large batches on a processor, chunk after chunk, so that what layers hand to each other stays in its caches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from distilbert_flax.layout import Layout, Padded

__all__ = ["CHUNK_TOKENS", "ChunkedTransformer", "chunk_tokens", "map_chunks"]

T = TypeVar("T")

CHUNK_TOKENS = 1024
"""How many tokens a chunk has: a feed-forward network's inner values of so many (12 MiB in float32) fit the caches."""


def chunk_tokens() -> int | None:
    """Return how many tokens to run at a time where no gradient is taken; None, all of them, on accelerators."""
    return CHUNK_TOKENS if jax.default_backend() == "cpu" else None


class ChunkedTransformer:
    """Stands in the place of a model's transformer and runs it on some rows of the batch after the other.

    Attributes:
        transformer: What it stands for.
        tokens: How many tokens to run at a time; None for all.
    """

    def __init__(self, transformer: Any, tokens: int | None) -> None:
        self.transformer, self.tokens = transformer, tokens

    @property
    def layer(self) -> Any:
        """The blocks."""
        return self.transformer.layer

    def __call__(self, x: Array, layout: Layout, *args: Any) -> Any:
        """Run; arguments as the transformer's."""

        def run(x: Array, mask: Array | None) -> Any:
            return self.transformer(x, Padded(mask), *args)

        return map_chunks(run, x, layout.mask, self.tokens)


def map_chunks(run: Callable[[Array, Array | None], T], x: Array, mask: Array | None, tokens: int | None) -> T:
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
    even = batch - batch % rows  # a last chunk is smaller

    def split(array: Array) -> Array:
        return array[:even].reshape(-1, rows, *array.shape[1:])  # (chunks, rows, …)

    chunks = jax.lax.map(lambda chunk: run(*chunk), jax.tree.map(split, (x, mask)))
    output: T = jax.tree.map(lambda array: array.reshape(even, *array.shape[2:]), chunks)
    if even == batch:
        return output
    last = run(*jax.tree.map(lambda array: array[even:], (x, mask)))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), output, last)
