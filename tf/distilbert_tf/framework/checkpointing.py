"""Gradient checkpointing: what is computed again in the backward pass, with the same dropout, is not kept for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras

from distilbert_tf.arrays import Tensor
from distilbert_tf.fast.recomputation import recompute
from distilbert_tf.layout import Layout

__all__ = ["checkpoint"]


def checkpoint(block: keras.layers.Layer, x: Tensor, layout: Layout, head_mask: Tensor | None) -> Tensor:
    """Run a block in training and keep only its input for the backward pass.

    Args:
        block: A layer whose first result is its output; its dropouts are `attention.dropout` and `ffn.dropout`.
        x: (batch, seq, dim).
        layout: How the tokens lie.
        head_mask: The block's factor for the attention probabilities.

    Returns:
        (batch, seq, dim).
    """
    dropouts = [dropout for dropout in (block.attention.dropout, block.ffn.dropout) if dropout.rate > 0]
    generators = [dropout.seed_generator for dropout in dropouts]
    variables, arguments = block.variables, (*layout, head_mask)

    def run(x: Tensor, *tensors: Tensor) -> Tensor:
        values, tensors = tensors[: len(variables)], tensors[len(variables) :]
        seeds, present = tensors[: len(generators)], iter(tensors[len(generators) :])
        *fields, head_mask = (None if argument is None else next(present) for argument in arguments)
        with fixed_seeds(generators, seeds), keras.StatelessScope(list(zip(variables, values, strict=True))):
            return block(x, layout=type(layout)(*fields), head_mask=head_mask, training=True)[0]

    values = [keras.ops.convert_to_tensor(variable) for variable in variables]
    seeds = [generator.next() for generator in generators]
    return recompute(run, x, *values, *seeds, *(argument for argument in arguments if argument is not None))


@contextmanager
def fixed_seeds(generators: Sequence[keras.random.SeedGenerator], seeds: Sequence[Tensor]) -> Iterator[None]:
    """Let generators draw the given seeds, whose own would be others when a block is run again."""
    for generator, seed in zip(generators, seeds, strict=True):
        generator.next = lambda ordered=True, seed=seed: seed
    try:
        yield
    finally:
        for generator in generators:
            del generator.next
