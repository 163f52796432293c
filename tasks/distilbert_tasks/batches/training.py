"""Batches of training: which rows each step takes, divided among micro batches and processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.errors import InputError
from distilbert_common.packing import place
from distilbert_common.training import MicroBatch
from distilbert_tasks.batches.arrays import Arrays, packed_arrays, padded_arrays
from distilbert_tasks.batches.options import BatchOptions
from distilbert_tasks.batches.rows import Rows, take_rows
from distilbert_tasks.batches.shapes import Shapes
from distilbert_tasks.features import Features
from distilbert_tasks.randomness import epoch_order

__all__ = ["steps_per_epoch", "training_batches"]

Positions = NDArray[np.int64]


def steps_per_epoch(features: Features, options: BatchOptions) -> int:
    """Return how many steps an epoch has, the same in each.

    Raises:
        InputError: There are no rows, or one is longer than `tokens_per_batch`.
    """
    if not len(features):
        raise InputError("the training set has no rows; a step needs at least one")
    if options.tokens_per_batch is None:
        return -(-len(features) // options.batch_size)
    total, longest = int(features.sizes.sum()), int(features.sizes.max())
    if longest > options.tokens_per_batch:
        raise InputError(
            f"a row has {longest} tokens, more than tokens_per_batch ({options.tokens_per_batch}); raise it to "
            f"{longest}, or make features with a smaller max_length"
        )
    return max(1, min(-(-total // options.tokens_per_batch), total // longest))


def training_batches(
    features: Features, options: BatchOptions, *, start_step: int = 0, stop_step: int | None = None
) -> Iterator[list[MicroBatch]]:
    """Yield the micro batches of each step, those of this process.

    Steps go on over epochs, each in an order of its own; what a step takes depends on seed and step alone. The shares
    of all processes' micro batches add up to 1, and make the loss of a step the mean over all its labels.

    Args:
        features: Those of the training set.
        options: How rows become batches.
        start_step: The first step to yield, from 0.
        stop_step: The step to stop before; None for no end.

    Raises:
        InputError: There are no rows, or one is longer than `tokens_per_batch`.
    """
    steps, batches = steps_per_epoch(features, options), None
    shapes = _shapes(features, options, steps)
    for step in count(start_step) if stop_step is None else range(start_step, stop_step):
        epoch, index = divmod(step, steps)
        if batches is None or index == 0:
            batches = _epoch(features, options, epoch, steps)
        rows = take_rows(features, batches[index], (options.seed, step, 0))
        yield _micro_batches(rows, options, shapes)


def _shapes(features: Features, options: BatchOptions, steps: int) -> Shapes:
    size = options.tokens_per_batch or options.batch_size
    total = int(features.sizes.sum()) if options.tokens_per_batch else len(features)
    return Shapes.of(
        features, options.few_shapes, options.row_length, max(1.0, total / size) * options.accumulation * options.world
    )


def _epoch(features: Features, options: BatchOptions, epoch: int, steps: int) -> list[Positions]:
    """Return the rows of each step of an epoch."""
    order = epoch_order(options.seed, epoch, len(features))
    if options.tokens_per_batch is None:
        return np.split(order, np.arange(1, steps) * options.batch_size)
    sizes = features.sizes[order]
    middles = 2 * np.cumsum(sizes) - sizes  # (rows,): twice the number of tokens before the middle of each row
    step = middles * steps // (2 * int(sizes.sum()))
    return np.split(order, np.searchsorted(step, np.arange(1, steps)))


def _micro_batches(rows: Rows, options: BatchOptions, shapes: Shapes) -> list[MicroBatch]:
    weights = rows.label_weights(options.class_weights)
    tokens = rows.sizes.reshape(len(rows), rows.choices).sum(axis=1)  # (rows,)
    micro_batches = []
    for parts in _divide(rows, options):
        share, token_share = (_share(values, parts[options.rank]) for values in (weights, tokens))
        inputs, labels = _arrays(rows, parts, options, shapes)
        micro_batches.append(MicroBatch(inputs, labels, share, token_share=token_share))
    return micro_batches


def _share(values: NDArray[Any], part: Positions) -> float:
    """Return the share of some rows in the sum over all."""
    return float(values[part].sum()) / (float(values.sum()) or 1.0)


def _divide(rows: Rows, options: BatchOptions) -> list[list[Positions]]:
    """Return the rows of each micro batch and process, of about as many tokens each."""
    sizes = rows.sizes.reshape(len(rows), rows.choices).sum(axis=1)
    order = np.argsort(-sizes, kind="stable")
    micros = min(options.accumulation, -(-len(rows) // options.world))
    if options.layout == "padded" or rows.choices > 1:  # rows of about one length together
        return [
            [block[rank :: options.world] for rank in range(options.world)] for block in np.array_split(order, micros)
        ]
    parts = micros * options.world
    turn = np.arange(len(order)) % (2 * parts)  # there and back, as teams are chosen
    part = np.minimum(turn, 2 * parts - 1 - turn)
    return [[order[part == micro * options.world + rank] for rank in range(options.world)] for micro in range(micros)]


def _arrays(rows: Rows, parts: list[Positions], options: BatchOptions, shapes: Shapes) -> Arrays:
    """Return the arrays of this process's part, in the shape that fits the part of every process."""
    own = rows.select(parts[options.rank])
    sizes = [rows.select(part).sizes for part in parts]
    longest = max(int(one.max(initial=1)) for one in sizes)
    if options.layout == "padded" or rows.choices > 1 or rows.task == "multiple-choice":
        return padded_arrays(own, max(map(len, parts)), shapes.padded_length(longest))
    length = shapes.packed_length(sizes)
    placements = [place(one, length) for one in sizes]
    count = shapes.rows(max(at.rows for at in placements))
    segments = shapes.segments(max(at.num_segments for at in placements))
    return packed_arrays(own, replace(placements[options.rank], rows=count), segments)
