"""Gradient checkpointing: a block's activations are computed again in the backward pass, with the same dropout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from distilbert_tf.arrays import Tensor


def checkpoint(block: keras.layers.Layer, x: Tensor, **arguments: Any) -> Tensor:
    """Run a block in training and keep only its input for the backward pass.

    Args:
        block: A layer whose first result is its output; its dropouts are `attention.dropout` and `ffn.dropout`.
        x: (batch, seq, dim).
        **arguments: The block's further arguments, through which no gradient flows.

    Returns:
        (batch, seq, dim).
    """
    dropouts = [dropout for dropout in (block.attention.dropout, block.ffn.dropout) if dropout.rate > 0]
    generators = [dropout.seed_generator for dropout in dropouts]

    def run(x: Tensor, *seeds: Tensor) -> Tensor:
        with drawing(generators, seeds):
            return block(x, **arguments, training=True)[0]

    return keras.remat(run)(x, *(generator.next() for generator in generators))


@contextmanager
def drawing(generators: Sequence[keras.random.SeedGenerator], seeds: Sequence[Tensor]) -> Iterator[None]:
    """Let generators draw the given seeds, whose own would be others when a block is run again."""
    for generator, seed in zip(generators, seeds, strict=True):
        generator.next = lambda ordered=True, seed=seed: seed
    try:
        yield
    finally:
        for generator in generators:
            del generator.next
