"""Predictions as files: written beside their place as they come, and there as a whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from distilbert_common.errors import InputError, MissingFrameworkError
from distilbert_common.files import replacing
from distilbert_tasks.prediction.inputs import Row

__all__ = ["OUTPUT_FORMATS", "write_csv", "write_jsonl", "write_rows"]

AT_ONCE = 1000
"""How many rows a parquet file gets at a time."""


def write_rows(rows: Iterable[Row], path: Path, file_format: str | None = None) -> int:
    """Write rows to a file, and return how many there were.

    Args:
        rows: The rows, which are taken one after the other.
        path: The file.
        file_format: "jsonl", "csv", "tsv" or "parquet"; None to tell it by the name.

    Raises:
        InputError: The format is not known.
        MissingFrameworkError: A parquet file, and pyarrow is not installed.
    """
    kind = file_format or path.suffix.lower().removeprefix(".")
    if kind not in _WRITERS:
        raise InputError(f"{path} ends in {path.suffix or 'nothing'}; expected one of {', '.join(OUTPUT_FORMATS)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    counter = _Counter(rows)
    with replacing(path) as temporary:
        _WRITERS[kind](counter, temporary)
    return counter.count


class _Counter:
    """Rows that are counted as they go by."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows, self.count = rows, 0

    def __iter__(self) -> Iterator[Row]:
        for row in self.rows:
            self.count += 1
            yield row


def write_jsonl(rows: Iterable[Row], stream: TextIO) -> None:
    """Write an object a line, each as soon as it is there."""
    for row in rows:
        stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        stream.flush()


def write_csv(rows: Iterable[Row], stream: TextIO, delimiter: str = ",") -> None:
    """Write rows with the columns of the first one; lists and objects become JSON.

    Raises:
        InputError: A later row has another column.
    """
    writer = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(stream, list(row), delimiter=delimiter, lineterminator="\n")
            writer.writeheader()
        try:
            writer.writerow({name: _cell(value) for name, value in row.items()})
        except ValueError as error:
            raise InputError(f"a row cannot be written as CSV: {error}; write .jsonl, whose rows may differ") from error


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def _jsonl_file(rows: Iterable[Row], path: Path) -> None:
    with _opened(path) as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv_file(rows: Iterable[Row], path: Path) -> None:
    with _opened(path) as stream:
        write_csv(rows, stream)


def _tsv_file(rows: Iterable[Row], path: Path) -> None:
    with _opened(path) as stream:
        write_csv(rows, stream, "\t")


def _parquet_file(rows: Iterable[Row], path: Path) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingFrameworkError("a parquet file", "pyarrow", "train") from error
    iterator, writer = iter(rows), None
    try:
        while chunk := list(islice(iterator, AT_ONCE)):
            table = pa.Table.from_pylist(chunk, schema=None if writer is None else writer.schema)
            _check_columns(chunk, table.column_names)
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
        if writer is None:
            parquet.write_table(pa.table({}), path)
    except pa.ArrowInvalid as error:
        raise InputError(f"a row cannot be written as parquet: {error}; write .jsonl, whose rows may differ") from error
    finally:
        if writer is not None:
            writer.close()


def _check_columns(rows: list[Row], names: list[str]) -> None:
    """Require that a table has all columns of its rows.

    Raises:
        InputError: A row has one that the rows before it do not have.
    """
    extra = next((name for row in rows for name in row if name not in names), None)
    if extra is not None:
        raise InputError(f"a row has a column {extra!r}, which the first has not; write .jsonl, whose rows may differ")


_WRITERS: dict[str, Callable[[Iterable[Row], Path], None]] = {
    "jsonl": _jsonl_file,
    "csv": _csv_file,
    "tsv": _tsv_file,
    "parquet": _parquet_file,
}
OUTPUT_FORMATS = tuple(_WRITERS)
"""The formats of files with predictions."""
