"""Steps that take so many rows, or rows of so many tokens, in the order of an epoch, and pack or pad these alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from distilbert_common.packing import place
from distilbert_common.training import MicroBatch
from distilbert_tasks.batches.arrays import Arrays, packed_arrays, padded_arrays
from distilbert_tasks.batches.numbered import NumberedBatch
from distilbert_tasks.batches.options import BatchOptions
from distilbert_tasks.batches.rows import Rows, share, take_rows
from distilbert_tasks.batches.shapes import Shapes
from distilbert_tasks.features import Features
from distilbert_tasks.randomness import epoch_order

__all__ = ["StepRows"]

Positions = NDArray[np.int64]

_NUMBERS = "token_numbers"
"""The name of the numbers of tokens on their way among the labels."""


@dataclass(frozen=True)
class StepRows:
    """The steps of any task.

    Attributes:
        features: Those of the training set.
        options: How rows become batches.
    """

    features: Features
    options: BatchOptions

    @cached_property
    def steps(self) -> int:
        """How many steps an epoch has, the same in each.

        Raises:
            InputError: A row is longer than `tokens_per_batch`.
        """
        features, options = self.features, self.options
        if options.tokens_per_batch is None:
            return -(-len(features) // options.batch_size)
        total, longest = int(features.sizes.sum()), int(features.sizes.max())
        options.check_longest(longest)
        return max(1, min(-(-total // options.tokens_per_batch), total // longest))

    def micro_batches(self, step: int, *, numbered: bool) -> list[NumberedBatch]:
        """Return the micro batches of a step, those of this process; see `Plan`."""
        epoch, index = divmod(step, self.steps)
        if epoch not in self._epochs:
            self._epochs.clear()
            self._epochs[epoch] = _epoch(self.features, self.options, epoch, self.steps)
        rows = take_rows(self.features, self._epochs[epoch][index], (self.options.seed, step, 0))
        if numbered:
            tokens = np.split(np.arange(int(rows.sizes.sum()), dtype=np.int32), np.cumsum(rows.sizes)[:-1])
            rows = replace(rows, labels={**rows.labels, _NUMBERS: tokens})
        return _micro_batches(rows, self.options, self._shapes)

    @cached_property
    def _epochs(self) -> dict[int, list[Positions]]:
        """The rows of each step of the epoch that was asked for last."""
        return {}

    @cached_property
    def _shapes(self) -> Shapes:
        features, options = self.features, self.options
        size = options.tokens_per_batch or options.batch_size
        total = int(features.sizes.sum()) if options.tokens_per_batch else len(features)
        return Shapes.of(
            features,
            options.few_shapes,
            options.row_length,
            max(1.0, total / size) * options.accumulation * options.world,
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


def _micro_batches(rows: Rows, options: BatchOptions, shapes: Shapes) -> list[NumberedBatch]:
    weights = rows.label_weights(options.class_weights)
    tokens = rows.row_sizes
    micro_batches = []
    for parts in _divide(rows, options):
        own_part = parts[options.rank]
        inputs, labels = _arrays(rows, parts, options, shapes)
        numbers = labels.pop(_NUMBERS, None)
        batch = MicroBatch(inputs, labels, share(weights, own_part), token_share=share(tokens, own_part))
        micro_batches.append(NumberedBatch(batch, numbers))
    return micro_batches


def _divide(rows: Rows, options: BatchOptions) -> list[list[Positions]]:
    """Return the rows of each micro batch and process, of about as many tokens each."""
    order = np.argsort(-rows.row_sizes, kind="stable")
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
    own_rows = rows.select(parts[options.rank])
    sizes = [rows.select(part).sizes for part in parts]
    longest = max(int(one.max(initial=1)) for one in sizes)
    if options.layout == "padded" or rows.choices > 1 or rows.task == "multiple-choice":
        return padded_arrays(own_rows, max(map(len, parts)), shapes.padded_length(longest))
    length = shapes.packed_length(sizes)
    placements = [place(one, length) for one in sizes]
    count = shapes.rows(max(placement.rows for placement in placements))
    segments = shapes.segments(max(placement.num_segments for placement in placements))
    return packed_arrays(own_rows, replace(placements[options.rank], rows=count), segments)
