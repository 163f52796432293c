"""Packed rows of whole epochs: lists fill rows of one length before these are divided into steps.

Where each step packs its own lists, its last row is half empty on average, and the fewer lists there are the worse they
fill rows. Here next to no padding is left, and all steps have one shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from distilbert_tasks.batches.fitting import MOST_LENGTH, row_cost
from distilbert_tasks.batches.numbered import NumberedBatch
from distilbert_tasks.batches.options import BatchOptions
from distilbert_tasks.batches.packed_rows import PackedRows
from distilbert_tasks.batches.shapes import round_length
from distilbert_tasks.features import Features
from distilbert_tasks.randomness import epoch_order, permutation

__all__ = ["ROW_LENGTH", "PackedEpochs", "best_row_length", "row_pattern"]

ROW_LENGTH = "row_length"
"""The detail of features that says how long their rows are if whole epochs are packed."""

_SAMPLE = 2**14
"""How many lists the length of rows is chosen by."""

_MARGIN = 0.02
"""By what share of the least cost lengths of rows may differ to count as equally good."""

_ROWS = 2
"""What sets the order of rows apart from that of lists."""


@dataclass(frozen=True)
class PackedEpochs:
    """The steps of masked LM, each of as many packed rows.

    Attributes:
        features: Token lists to be masked.
        options: How many tokens a step takes, and how it is divided.
    """

    features: Features
    options: BatchOptions

    @classmethod
    def suit(cls, features: Features, options: BatchOptions) -> bool:
        """Return whether features are packed so, with these options."""
        return ROW_LENGTH in features.details and options.layout == "packed"

    @cached_property
    def steps(self) -> int:
        """How many steps an epoch has.

        Raises:
            InputError: A row is longer than `tokens_per_batch`.
        """
        return -(-self._rows // max(1, round(self._tokens / self._length)))

    def micro_batches(self, step: int, *, numbered: bool) -> list[NumberedBatch]:
        """Return the micro batches of a step, those of this process; see `Plan`."""
        epoch, index = divmod(step, self.steps)
        lists, bounds = self._epoch(epoch)
        row_bounds = bounds[index * self._rows // self.steps : (index + 1) * self._rows // self.steps + 1]
        rows = PackedRows(self._length, np.diff(row_bounds), self._sizes[lists[row_bounds[0] : row_bounds[-1]]])
        ids = np.concatenate(self.features.input_ids.take(lists[row_bounds[0] : row_bounds[-1]]))
        masked, labels = self.features.details["masking"].apply(ids, (self.options.seed, step, 0), rows.starts)
        most = -(-self._rows // self.steps) if self.options.few_shapes else len(rows)
        return rows.micro_batches(masked, labels, self.options, most, numbered=numbered)

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        return self.features.sizes

    @cached_property
    def _tokens(self) -> int:
        """How many tokens a step takes; where a number of lists is asked for, as many as these have on average."""
        return self.options.tokens_per_batch or round(self.options.batch_size * float(self._sizes.mean()))

    @cached_property
    def _length(self) -> int:
        """How many tokens a row holds: as asked for, but no more than a step takes and no fewer than a list has."""
        longest = int(self._sizes.max())
        self.options.check_longest(longest)
        length = self.options.row_length or self.features.details[ROW_LENGTH]
        return max(round_length(longest), min(length, round_length(self._tokens)))

    @cached_property
    def _pattern(self) -> NDArray[np.int64]:
        """(lists,) the row of each list, the longest list first: the same in every epoch."""
        return row_pattern(-np.sort(-self._sizes), self._length)

    @cached_property
    def _rows(self) -> int:
        return int(self._pattern.max()) + 1

    @cached_property
    def _epochs(self) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        return {}

    def _epoch(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the lists of an epoch, row after row, (lists,), and where each row starts among them, (rows + 1,).

        From epoch to epoch, lists of one size change places, and rows their order.
        """
        if epoch not in self._epochs:
            self._epochs.clear()
            order = epoch_order(self.options.seed, epoch, len(self.features))
            order = order[np.argsort(-self._sizes[order], kind="stable")]
            row = permutation((self.options.seed, epoch, _ROWS), self._rows)[self._pattern]
            bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(row, minlength=self._rows))])
            self._epochs[epoch] = order[np.argsort(row, kind="stable")], bounds
        return self._epochs[epoch]


def best_row_length(sizes: NDArray[np.int64]) -> int:
    """Return the length of rows that leaves least to compute: long rows are full, short ones spend less on attention.

    Of lengths that differ by no more than `_MARGIN` in this, the longest one has the least padding.

    Args:
        sizes: (lists,) how many tokens each has, of which some at even distances are tried.
    """
    sample = -np.sort(-sizes[:: -(-len(sizes) // _SAMPLE)])
    shortest = round_length(int(sizes.max()))
    lengths = [shortest, *(length for length in range(64, MOST_LENGTH + 1, 64) if length > shortest)]
    costs = {length: row_cost(int(row_pattern(sample, length).max()) + 1, length) for length in lengths}
    return max(length for length, cost in costs.items() if cost <= (1 + _MARGIN) * min(costs.values()))


def row_pattern(sizes: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return a row for each list, (lists,): the longest list first, into the fullest rows with room.

    Rows with as much room are alike, so that lists of one size are placed together: the time hardly depends on their
    number.

    Args:
        sizes: (lists,) how many tokens each has, falling.
        length: How many tokens a row holds.
    """
    pattern = np.zeros(len(sizes), np.int64)
    by_room: dict[int, list[NDArray[np.int64]]] = {}  # rows that are not full
    rows, start = 0, 0
    for size, count in zip(*_runs(sizes), strict=True):
        stop = start + count
        for room in sorted(room for room in by_room if room >= size):
            if start == stop:
                break
            start = _fill(pattern, start, stop, size, room, np.concatenate(by_room.pop(room)), by_room)
        new = np.arange(rows, rows - (start - stop) // (length // size))  # rounded up
        rows += len(new)
        start = _fill(pattern, start, stop, size, length, new, by_room)
    return pattern


def _fill(
    pattern: NDArray[np.int64],
    start: int,
    stop: int,
    size: int,
    room: int,
    rows: NDArray[np.int64],
    by_room: dict[int, list[NDArray[np.int64]]],
) -> int:
    """Place lists of one size into rows with as much room, and return the first list that is not placed.

    Args:
        pattern: (lists,) the row of each list, which is written to.
        start: The first list to place.
        stop: The list to stop before.
        size: How many tokens each has.
        room: How many each row has room for.
        rows: The rows.
        by_room: Where the rows go, by the room that they have then.
    """
    each = room // size
    placed = min(len(rows) * each, stop - start)
    pattern[start : start + placed] = np.repeat(rows, each)[:placed]
    full, last = divmod(placed, each)
    by_room.setdefault(room - each * size, []).append(rows[:full])
    if last:
        by_room.setdefault(room - last * size, []).append(rows[full : full + 1])
    by_room.setdefault(room, []).append(rows[full + (last > 0) :])
    return start + placed


def _runs(sizes: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Return each size, and how many lists have it."""
    unique, counts = np.unique(sizes, return_counts=True)
    return unique[::-1].tolist(), counts[::-1].tolist()
