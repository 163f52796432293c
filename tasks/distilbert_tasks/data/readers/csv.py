"""CSV and TSV, read by pyarrow, every value as text: "NA" and "null" are words like any others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.data.readers.opening import open_binary
from distilbert_tasks.data.records import Records

__all__ = ["read_csv"]


def read_csv(path: Path, delimiter: str, column_names: Sequence[str] | None = None) -> Iterator[Records]:
    """Yield the records of a CSV file.

    Args:
        path: The file.
        delimiter: What stands between two values.
        column_names: The names of its columns; None where its first line has them.

    Raises:
        InputError: A row has too many or too few values, or is not UTF-8.
    """
    import pyarrow as pa
    from pyarrow import csv

    names = list(column_names) if column_names is not None else _header(path, delimiter)
    read = csv.ReadOptions(column_names=names, skip_rows=0 if column_names is not None else 1)
    convert = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    row = 1
    try:
        with open_binary(path) as file:
            for batch in csv.open_csv(file, read, parse, convert):
                numbers = np.arange(row, row + len(batch), dtype=np.int64)
                yield Records(batch.to_pydict(), path.name, numbers)
                row += len(batch)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path.name}, after row {row - 1}: {error}; repair the file") from error


def _header(path: Path, delimiter: str) -> list[str]:
    import csv
    import io

    with open_binary(path) as file:
        text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        return next(csv.reader(text, delimiter=delimiter), [])
