"""Rows of a data set as a `tf.data.Dataset` of collated batches, as `prepare_tf_dataset` gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from distilbert_common.errors import InputError

__all__ = ["Columns", "batched", "rows_of"]

Row = dict[str, Any]
Collate = Callable[[list[Row]], Mapping[str, Any]]


class Columns(NamedTuple):
    """The names of what a batch holds: what a model takes, and what its labels are called."""

    inputs: tuple[str, ...]
    labels: tuple[str, ...]


def rows_of(dataset: Any, names: set[str]) -> Sequence[Row]:
    """Return the rows of a data set, with the columns that have one of the names.

    Args:
        dataset: A `datasets.Dataset`, a sequence of rows by column name, or a mapping of columns.
        names: The columns to keep.

    Raises:
        InputError: The data set is nothing of that.
    """
    if isinstance(dataset, Mapping):
        columns = {name: values for name, values in dataset.items() if name in names}
        if not columns or len({len(values) for values in columns.values()}) != 1:
            raise InputError(
                f"the data set is a mapping of {', '.join(map(str, dataset)) or 'nothing'}; expected columns of equal "
                "length, or one split such as dataset['train']"
            )
        return ColumnRows(columns)
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__") or isinstance(dataset, str):
        raise InputError(f"the data set is a {type(dataset).__name__}; expected a datasets.Dataset or a list of rows")
    if hasattr(dataset, "select_columns"):
        dataset = dataset.select_columns([name for name in dataset.column_names if name in names])
    return KeptColumns(dataset, names)


class ColumnRows(Sequence[Row]):
    """The rows of a mapping of columns."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, index: Any) -> Any:
        return {name: values[index] for name, values in self.columns.items()}


class KeptColumns(Sequence[Row]):
    """The rows of a data set with some of their columns."""

    def __init__(self, rows: Any, names: set[str]) -> None:
        self.rows, self.names = rows, names

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return {name: value for name, value in self.rows[index].items() if name in self.names}


def batched(
    rows: Sequence[Row], collate: Collate, columns: Columns, batch_size: int, shuffle: bool, drop_remainder: bool
) -> Any:
    """Return a `tf.data.Dataset` of collated batches: inputs, and labels where there are some.

    Inputs and labels are dicts, or what is in them where that is one thing, as in transformers.
    """
    import tensorflow as tf

    example = arrays(collate([rows[i] for i in range(min(batch_size, len(rows)))]), columns)
    names, kinds = list(example), [value.dtype for value in example.values()]

    def collated(indices: Any) -> list[np.ndarray]:
        batch = arrays(collate([rows[int(i)] for i in indices.numpy()]), columns)
        return [np.asarray(batch[name], kind) for name, kind in zip(names, kinds, strict=True)]

    def batch_of(indices: Any) -> Any:
        values = tf.py_function(collated, [indices], kinds)
        for name, value in zip(names, values, strict=True):
            value.set_shape([None] * example[name].ndim)
        return inputs_and_labels(dict(zip(names, values, strict=True)), columns)

    indices = tf.data.Dataset.range(len(rows))
    indices = indices.shuffle(len(rows)) if shuffle else indices
    return indices.batch(batch_size, drop_remainder=drop_remainder).map(batch_of)


def arrays(batch: Mapping[str, Any], columns: Columns) -> dict[str, np.ndarray]:
    """Return the columns of a batch that the model takes, as arrays.

    Raises:
        InputError: Rows have different lengths.
    """
    selected = {name: value for name, value in batch.items() if name in columns.inputs or name in columns.labels}
    try:
        return {name: np.asarray(value) for name, value in selected.items()}
    except ValueError as error:
        raise InputError("rows have different lengths; give tokenizer=..., which pads them") from error


def inputs_and_labels(batch: dict[str, Any], columns: Columns) -> Any:
    """Return a batch as Keras takes it: inputs alone, or with labels."""
    labels = {name: value for name, value in batch.items() if name in columns.labels}
    inputs = {name: value for name, value in batch.items() if name not in labels}
    return (unwrapped(inputs), unwrapped(labels)) if labels else unwrapped(inputs)


def unwrapped(values: dict[str, Any]) -> Any:
    """Return the only value, or all of them by name."""
    return next(iter(values.values())) if len(values) == 1 else values
