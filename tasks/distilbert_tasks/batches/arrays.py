"""The arrays of one batch: rows packed or padded, and their labels in the form that the models take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.packing import Placement, scatter
from distilbert_tasks.batches.rows import Rows

__all__ = ["Arrays", "packed_arrays", "padded_arrays", "padded_placement"]

Arrays = tuple[dict[str, Any], dict[str, NDArray[Any]]]
"""The inputs and the labels of a model, by the names of its arguments."""

PAD = 0
"""The token where there is none; it is masked, so that any id of the vocabulary would do."""


def packed_arrays(rows: Rows, placement: Placement, num_segments: int) -> Arrays:
    """Return the arrays of rows that lie as a placement says.

    Args:
        rows: The rows.
        placement: Where each lies.
        num_segments: How many segments a row of the arrays has room for in labels and outputs.
    """
    inputs: dict[str, Any] = {
        "input_ids": scatter(placement, _concatenated(rows.ids, np.int32), PAD),
        "position_ids": scatter(placement, placement.within().astype(np.int32), 0),
        "segment_ids": scatter(placement, np.repeat(placement.segment, placement.size), 0),
    }
    if not rows.is_per_token:
        inputs["num_segments"] = num_segments
    labels = {
        name: scatter(placement, _concatenated(values, np.int32), IGNORE_INDEX)
        if isinstance(values, list)
        else _per_segment(placement, values, num_segments)
        for name, values in rows.labels.items()
    }
    return inputs, labels


def padded_arrays(rows: Rows, count: int, length: int) -> Arrays:
    """Return the arrays of rows padded to one length, with `count` rows of which the last are empty.

    Where padding or an empty row would count in a loss, as in question answering and regression, each row is one
    segment: then the loss is that of packed rows.
    """
    placement = padded_placement(rows.sizes, count * rows.choices, length)
    if needs_segments(rows, count):
        return packed_arrays(rows, placement, 1)
    mask = scatter(placement, np.repeat(placement.segment, placement.size), 0)
    shape = (count, rows.choices, length) if rows.choices > 1 or rows.task == "multiple-choice" else (count, length)
    inputs = {
        "input_ids": scatter(placement, _concatenated(rows.ids, np.int32), PAD).reshape(
            shape
        ),  # (batch, [choices,] seq)
        "attention_mask": mask.reshape(shape),  # (batch, [choices,] seq)
    }
    labels = {
        name: scatter(placement, _concatenated(values, np.int32), IGNORE_INDEX)
        if isinstance(values, list)
        else np.concatenate([values, np.full((count - len(rows), *values.shape[1:]), IGNORE_INDEX, values.dtype)])
        for name, values in rows.labels.items()
    }
    return inputs, labels


def padded_placement(sizes: NDArray[np.int32], count: int, length: int) -> Placement:
    """Return the placement of one list to a row."""
    zeros = np.zeros_like(sizes)
    return Placement(np.arange(len(sizes), dtype=np.int32), zeros, sizes, zeros + 1, count, length)


def needs_segments(rows: Rows, count: int) -> bool:
    """Return whether padded rows must be segments, so that nothing but the rows counts in the loss."""
    values = next(iter(rows.labels.values()), None)
    is_number = isinstance(values, np.ndarray) and values.dtype.kind == "f"
    return values is not None and (rows.task == "question-answering" or (is_number and count > len(rows)))


def _per_segment(placement: Placement, values: NDArray[Any], num_segments: int) -> NDArray[Any]:
    """Lay out one value per list: (lists, …) -> (rows, num_segments, …)."""
    fill = IGNORE_INDEX if values.dtype.kind in "iu" else 0
    out = np.full((placement.rows, num_segments, *values.shape[1:]), fill, values.dtype)
    out[placement.row, placement.segment - 1] = values
    return out


def _concatenated(lists: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate(lists).astype(dtype, copy=False) if lists else np.zeros(0, dtype)
