"""Parquet and Arrow files, and data sets in memory or on the hub, whose columns have types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.data.readers.opening import AT_ONCE, CHARS_AT_ONCE
from distilbert_tasks.data.records import Records

__all__ = ["is_table", "read_arrow", "read_dataset", "read_parquet", "read_table"]


def read_parquet(path: Path) -> Iterator[Records]:
    """Yield the records of a Parquet file.

    Raises:
        InputError: It is none.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path.name} is not a Parquet file: {error}") from error
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    rows = _chunk_rows(sum(group.total_byte_size for group in groups), file.metadata.num_rows)
    yield from _records(file.iter_batches(rows), file.schema_arrow, path.name)


def read_arrow(path: Path) -> Iterator[Records]:
    """Yield the records of an Arrow file, in either of its two forms.

    Raises:
        InputError: It is none.
    """
    import pyarrow as pa

    source = pa.memory_map(str(path))
    try:
        table = pa.ipc.open_stream(source).read_all()
    except pa.ArrowInvalid:
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except pa.ArrowInvalid as error:
            raise InputError(f"{path.name} is not an Arrow file: {error}") from error
    yield from _records(table.to_batches(_chunk_rows(table.nbytes, len(table))), table.schema, path.name)


def read_dataset(dataset: Any, name: str) -> Iterator[Records]:
    """Yield the records of a `datasets.Dataset`, an `IterableDataset`, or a mapping of columns.

    Raises:
        InputError: Columns of a mapping are no lists, or differ in length.
    """
    if isinstance(dataset, Mapping):
        dataset = _ColumnsInMemory(dataset, name)
    names = _label_names(dataset.features or {})
    row = 1
    for columns in dataset.iter(_chunk_rows(*_size(dataset))):
        count = len(next(iter(columns.values()), ()))
        yield Records(_named(columns, names), name, np.arange(row, row + count, dtype=np.int64), "row", names)
        row += count


def is_table(source: object) -> bool:
    """Return whether a source is a table in memory, such as a data frame of pandas or polars, or Arrow's own."""
    return hasattr(source, "__arrow_c_stream__")


def read_table(source: Any, name: str) -> Iterator[Records]:
    """Yield the records of a table in memory.

    Raises:
        InputError: A column holds values of several types.
    """
    import pyarrow as pa

    try:
        table = pa.table(source)
    except pa.ArrowException as error:
        raise InputError(f"{name}: {error}; give each column values of one type") from error
    yield from _records(table.to_batches(_chunk_rows(table.nbytes, len(table))), table.schema, name)


class _ColumnsInMemory:
    """A mapping of columns, read as data sets are; any list will do, whatever it holds."""

    features = None

    def __init__(self, columns: Mapping[str, Sequence[Any]], name: str) -> None:
        sizes = {}
        for column, values in columns.items():
            if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
                raise InputError(f"{name}: column {column!r} is a {type(values).__name__}; expected a list of values")
            sizes[column] = len(values)
        if len(set(sizes.values())) > 1:
            raise InputError(f"{name}: columns differ in length: {sizes}; give as many values in each")
        self.columns, self.size = columns, next(iter(sizes.values()), 0)

    def iter(self, batch_size: int) -> Iterator[dict[str, list[Any]]]:
        """Yield some rows at a time."""
        for start in range(0, self.size, batch_size):
            yield {name: list(values[start : start + batch_size]) for name, values in self.columns.items()}


def _size(dataset: Any) -> tuple[int, int]:
    """Return the bytes and the rows of a data set whose rows lie in a table; 0 of any other."""
    table: Any = getattr(dataset, "data", None)
    return (int(table.nbytes), len(table)) if hasattr(table, "nbytes") else (0, 0)


def _chunk_rows(nbytes: int, rows: int) -> int:
    """Return how many rows are read at a time of so many."""
    return max(1, min(AT_ONCE, CHARS_AT_ONCE * rows // max(1, nbytes))) if rows else AT_ONCE


def _records(batches: Iterable[Any], schema: Any, name: str) -> Iterator[Records]:
    import datasets

    names = _label_names(datasets.Features.from_arrow_schema(schema))
    row = 1
    for batch in batches:
        numbers = np.arange(row, row + len(batch), dtype=np.int64)
        yield Records(_named(batch.to_pydict(), names), name, numbers, "row", names)
        row += len(batch)


def _label_names(features: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the labels of columns whose type names them, also within lists."""
    inner = {name: getattr(feature, "feature", feature) for name, feature in features.items()}
    return {name: tuple(feature.names) for name, feature in inner.items() if hasattr(feature, "names")}


def _named(columns: Mapping[str, Sequence[Any]], names: Mapping[str, Sequence[str]]) -> dict[str, Sequence[Any]]:
    """Return columns with the names of labels for class ids; None for -1, which says that there is no label."""
    return {name: [_name(value, names[name]) for value in column] if name in names else column
            for name, column in columns.items()}  # fmt: skip


def _name(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_name(one, names) for one in value]
    return None if value is None or value < 0 else names[value]
