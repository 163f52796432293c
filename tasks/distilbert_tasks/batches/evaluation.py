"""Batches of evaluation: every row once, and the way from a model's outputs back to the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilbert_common.packing import Placement, place
from distilbert_tasks.batches.arrays import packed_arrays, padded_arrays, padded_placement
from distilbert_tasks.batches.options import Layout
from distilbert_tasks.batches.rows import Rows, take_rows
from distilbert_tasks.batches.shapes import Shapes, power_of_two, round_length
from distilbert_tasks.features import Features

__all__ = ["EvaluationBatch", "collect_rows", "collect_tokens", "evaluation_batches"]


@dataclass(frozen=True)
class EvaluationBatch:
    """What one call of a model takes, and which rows it is of.

    Attributes:
        inputs: The model's arguments, without labels.
        labels: The model's arguments that are labels, where there are some.
        rows: (rows,) the numbers of the features' rows, in the order of `per_row` and `per_token`.
        weight: How many labels the mean of the batch's loss is over.
        placement: Where each token list lies.
        is_packed: Whether outputs have an axis of segments.
        choices: How many token lists a row has.
    """

    inputs: Mapping[str, Any]
    labels: Mapping[str, NDArray[Any]]
    rows: NDArray[np.int64]
    weight: float
    placement: Placement
    is_packed: bool
    choices: int = 1

    def per_row(self, values: ArrayLike) -> NDArray[Any]:
        """Bring back one value per row, such as logits: (batch, [num_segments,] …) -> (rows, …)."""
        array = np.asarray(values)
        if self.is_packed:
            return array[self.placement.row, self.placement.segment - 1]
        return array[: len(self.rows)]

    def per_token(self, values: ArrayLike) -> list[NDArray[Any]]:
        """Bring back one value per token: (batch, seq, …) -> for each row (size, …)."""
        array, placement = np.asarray(values), self.placement
        return [array[r, s : s + n] for r, s, n in zip(placement.row, placement.start, placement.size, strict=True)]


def evaluation_batches(
    features: Features,
    tokens_per_batch: int = 4096,
    layout: Layout = "packed",
    *,
    few_shapes: bool = True,
    row_length: int | None = None,
    seed: int = 0,
    rank: int = 0,
    world: int = 1,
) -> Iterator[EvaluationBatch]:
    """Yield batches that have every row once, long rows first.

    Args:
        features: The rows.
        tokens_per_batch: About how many tokens a batch has, padding included.
        layout: "packed" puts several rows into one, "padded" pads each; multiple choice is always padded.
        few_shapes: Whether sizes are rounded up, so that compiled code meets few shapes.
        row_length: How many tokens a packed row holds; None for the longest row.
        seed: What the masks of masked LM depend on.
        rank: The number of this process.
        world: How many processes evaluate together; each yields its part of the batches.
    """
    shapes = Shapes.of(features, few_shapes, row_length, 1)
    is_padded = layout == "padded" or features.choices > 1 or features.task == "multiple-choice"
    batches = _padded if is_padded else _packed
    masked = take_rows(features, np.arange(len(features)), (seed, 0, 1)) if "masking" in features.details else None
    for number, (rows, placement, count) in enumerate(batches(features, tokens_per_batch, shapes)):
        if number % world == rank:
            selected = take_rows(features, rows) if masked is None else masked.select(rows)
            yield _batch(selected, rows, placement, count, is_padded, shapes)


def _batch(
    selected: Rows, rows: NDArray[np.int64], placement: Placement, count: int, is_padded: bool, shapes: Shapes
) -> EvaluationBatch:
    if is_padded:
        inputs, labels = padded_arrays(selected, count, placement.length)
    else:
        segments = power_of_two(placement.num_segments) if shapes.few else placement.num_segments
        inputs, labels = packed_arrays(selected, placement, segments)
    is_packed = "segment_ids" in inputs and not selected.is_per_token
    return EvaluationBatch(
        inputs, labels, rows, float(selected.label_weights().sum()), placement, is_packed, selected.choices
    )


Plan = Iterator[tuple[NDArray[np.int64], Placement, int]]
"""For each batch its rows, where their lists lie, and how many rows the arrays have."""


def _packed(features: Features, tokens: int, shapes: Shapes) -> Plan:
    """Pack all rows at once, and cut the packed rows into batches of one shape."""
    length = shapes.row_length or round_length(shapes.longest)
    per_batch = max(1, tokens // length)
    placement = place(features.sizes, length)
    order = np.argsort(placement.row, kind="stable")
    for start in range(0, placement.rows, per_batch):
        low, high = np.searchsorted(placement.row[order], [start, start + per_batch])
        rows = order[low:high]
        count = per_batch if shapes.few else min(per_batch, placement.rows - start)
        part = Placement(
            placement.row[rows] - start,
            placement.start[rows],
            placement.size[rows],
            placement.segment[rows],
            count,
            length,
        )
        yield rows.astype(np.int64), part, count


def _padded(features: Features, tokens: int, shapes: Shapes) -> Plan:
    """Take rows of about one length together."""
    longest = features.input_ids.sizes.reshape(len(features), features.choices).max(axis=1)  # (rows,)
    order = np.argsort(-longest, kind="stable")
    start = 0
    while start < len(order):
        length = shapes.padded_length(int(longest[order[start]]))
        count = max(1, tokens // (length * features.choices))
        rows = order[start : start + count].astype(np.int64)
        count = count if shapes.few else len(rows)
        lists = (rows[:, None] * features.choices + np.arange(features.choices)).reshape(-1)
        sizes = features.input_ids.sizes[lists].astype(np.int32)
        yield rows, padded_placement(sizes, count * features.choices, length), count
        start += len(rows)


def collect_rows(parts: Iterable[tuple[EvaluationBatch, ArrayLike]], rows: int) -> NDArray[Any]:
    """Join outputs that have one value per row, in the order of the features: (rows, …)."""
    joined = [(batch.rows, batch.per_row(values)) for batch, values in parts]
    if not joined:
        return np.zeros((rows, 0), np.float32)
    out = np.zeros((rows, *joined[0][1].shape[1:]), joined[0][1].dtype)
    for numbers, values in joined:
        out[numbers] = values
    return out


def collect_tokens(parts: Iterable[tuple[EvaluationBatch, ArrayLike]], rows: int) -> list[NDArray[Any]]:
    """Join outputs that have one value per token, in the order of the features: for each row (size, …)."""
    out: list[NDArray[Any]] = [np.zeros(0, np.float32)] * rows
    for batch, values in parts:
        for number, one in zip(batch.rows, batch.per_token(values), strict=True):
            out[number] = one
    return out
