"""The packed rows of a step of masked LM, divided among micro batches and processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.packing import Placement, scatter
from distilbert_common.training import MicroBatch
from distilbert_tasks.batches.arrays import PAD
from distilbert_tasks.batches.numbered import NumberedBatch
from distilbert_tasks.batches.options import BatchOptions
from distilbert_tasks.batches.rows import share, weigh

__all__ = ["PackedRows"]


@dataclass(frozen=True)
class PackedRows:
    """Rows of one length that hold token lists.

    Attributes:
        length: How many tokens a row holds.
        counts: (rows,) how many lists each has.
        sizes: (lists,) how many tokens each list has, row after row.
    """

    length: int
    counts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def starts(self) -> NDArray[np.int64]:
        """(lists,) where each list starts among all tokens."""
        starts: NDArray[np.int64] = np.cumsum(self.sizes) - self.sizes
        return starts

    def placement(self, row: NDArray[np.int64], rows: int) -> Placement:
        """Return where each list lies.

        Args:
            row: (rows,) where each row goes.
            rows: How many there are with those that are empty.
        """
        first = np.cumsum(self.counts) - self.counts  # (rows,) the first list of each
        row_of_list = np.repeat(np.arange(len(self)), self.counts)  # (lists,)
        start = self.starts - self.starts[first][row_of_list]
        segment = np.arange(len(self.sizes)) - first[row_of_list] + 1
        rows_of, starts, sizes, segments = (
            values.astype(np.int32) for values in (row[row_of_list], start, self.sizes, segment)
        )
        return Placement(rows_of, starts, sizes, segments, rows, self.length)

    def micro_batches(
        self, ids: NDArray[np.int32], labels: NDArray[np.int32], options: BatchOptions, most: int, *, numbered: bool
    ) -> list[NumberedBatch]:
        """Return the micro batches of this process, of as many rows as those of the others.

        Args:
            ids: (tokens,) masked.
            labels: (tokens,).
            options: How a step is divided.
            most: How many rows the largest step has whose micro batches have the shape of these.
            numbered: Whether tokens are numbered.
        """
        world, rank = options.world, options.rank
        height = -(-most // (options.accumulation * world))
        micros = -(-most // (height * world))  # as few as need no larger ones
        bounds = np.arange(micros * world + 1) * len(self) // (micros * world)
        heights = np.diff(bounds).reshape(micros, world).max(axis=1)  # (micros,) rows of each micro batch
        if options.few_shapes:
            heights = np.full(micros, height)
        tops = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.repeat(heights, world))])
        part = np.searchsorted(bounds, np.arange(len(self)), side="right") - 1  # (rows,)
        placement = self.placement(tops[part] + np.arange(len(self)) - bounds[part], int(tops[-1]))
        columns = _columns(placement, ids, labels, numbered)
        own_parts = [slice(*tops[part : part + 2]) for part in range(rank, micros * world, world)]
        return _sliced(columns, own_parts, options.class_weights)


def _columns(
    placement: Placement, ids: NDArray[np.int32], labels: NDArray[np.int32], numbered: bool
) -> dict[str, NDArray[np.int32]]:
    """Return the arrays (rows, length) of a step."""
    columns = {
        "input_ids": scatter(placement, ids, PAD),
        "position_ids": scatter(placement, placement.within().astype(np.int32), 0),
        "segment_ids": scatter(placement, np.repeat(placement.segment, placement.size), 0),
        "labels": scatter(placement, labels, IGNORE_INDEX),
    }
    numbers = {"numbers": scatter(placement, np.arange(len(ids), dtype=np.int32), -1)} if numbered else {}
    return columns | numbers


def _sliced(
    columns: dict[str, NDArray[np.int32]], parts: Sequence[slice], class_weights: Sequence[float] | None
) -> list[NumberedBatch]:
    """Return micro batches of some rows each, with their shares in all of them."""
    weights = weigh(columns["labels"], class_weights).sum(axis=1)  # (rows,)
    tokens = (columns["segment_ids"] > 0).sum(axis=1)  # (rows,)
    batches = []
    for part in parts:
        arrays = {name: values[part] for name, values in columns.items()}
        labels, numbers = {"labels": arrays.pop("labels")}, arrays.pop("numbers", None)
        batch = MicroBatch(arrays, labels, share(weights, part), token_share=share(tokens, part))
        batches.append(NumberedBatch(batch, numbers))
    return batches
