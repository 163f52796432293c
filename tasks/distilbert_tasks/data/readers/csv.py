"""CSV and TSV, read by pyarrow, every value as text: "NA" and "null" are words like any others."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.data.readers.opening import decoded_lines, open_binary
from distilbert_tasks.data.records import Records

__all__ = ["checked_header", "delimiter_of", "has_quotes", "read_csv"]

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between the values of a .csv file: the first of these that its first line has."""

BLOCK_BYTES = 16 * 2**20
"""How much of a file is read at a time, which no row may exceed."""


def read_csv(path: Path, delimiter: str | None, column_names: Sequence[str] | None = None) -> Iterator[Records]:
    """Yield the records of a CSV file.

    Args:
        path: The file.
        delimiter: What stands between two values; None to tell it by the first line.
        column_names: The names of its columns; None where its first line has them.

    Raises:
        InputError: A row has too many or too few values, or is not UTF-8.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    first, *others = [*(line for _, line in islice(decoded_lines(path), 2))] or [""]
    delimiter = delimiter or delimiter_of(first)
    is_quoted = has_quotes(path, delimiter)
    has_header = column_names is None
    names = _header(path, first, delimiter, is_quoted) if column_names is None else list(column_names)
    if has_header and not others:
        return  # there are names alone
    row = 1
    try:
        with open_binary(path) as file:
            for batch in arrow_csv.open_csv(file, *_settings(names, delimiter, is_quoted, has_header)):
                columns = batch.to_pydict()
                if has_header:
                    _check_no_second_header(columns, path, row)
                yield Records(columns, path.name, np.arange(row, row + len(batch), dtype=np.int64))
                row += len(batch)
    except pa.ArrowInvalid as error:
        raise _explained(path, error, names, delimiter if is_quoted else None, has_header) from error


def delimiter_of(line: str) -> str:
    """Return what stands between the values of a file with such a first line."""
    return next((one for one in DELIMITERS if one in line), ",")


def has_quotes(path: Path, delimiter: str) -> bool:
    """Return whether quotes enclose values in a file; in many TSV files they are characters like any others."""
    return delimiter != "\t" or _is_quoted_tsv(path)


def _check_no_second_header(columns: dict[str, list[str]], path: Path, row: int) -> None:
    """Require that no row is the names of the columns again, as in joined files, whose label would be a class."""
    names = list(columns)
    if len(names) < 2 or names[0] not in (first := columns[names[0]]):
        return
    for index, value in enumerate(first):
        if value == names[0] and all(columns[name][index].strip() == name for name in names):
            raise InputError(
                f"{path.name}, row {row + index} has the names of columns again, as in joined files; remove it"
            )


def _settings(names: list[str], delimiter: str, is_quoted: bool, has_header: bool) -> tuple[Any, Any, Any]:
    """Return how pyarrow reads a file: every value as text."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    return (
        arrow_csv.ReadOptions(column_names=names, skip_rows=int(has_header), block_size=BLOCK_BYTES),
        arrow_csv.ParseOptions(
            delimiter=delimiter,
            newlines_in_values=is_quoted,
            quote_char='"' if is_quoted else False,
            ignore_empty_lines=len(names) > 1,  # where there is one column, an empty line is an empty text
        ),
        arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )


def _header(path: Path, line: str, delimiter: str, is_quoted: bool) -> list[str]:
    """Return the names in the first line."""
    try:
        names = next(csv.reader([line], delimiter=delimiter), []) if is_quoted else line.split(delimiter)
    except csv.Error as error:  # such as a carriage return without a line feed
        raise InputError(f"{path.name}, line 1: {error}; end each line with a line feed") from error
    return checked_header(names, path.name)


def checked_header(names: Sequence[str], source: str) -> list[str]:
    """Return the names of columns without white space around them, as in "text, label".

    Args:
        names: The values of the first line.
        source: The name of the file.

    Raises:
        InputError: There is no name, or one stands twice.
    """
    names = [name.strip() for name in names]
    if not any(names):
        raise InputError(f"{source} has no first line with the names of its columns; write one, or give column_names")
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{source} has two columns called {repeated!r}; rename one of them")
    return names


def _is_quoted_tsv(path: Path) -> bool:
    """Return whether quotes in a TSV file enclose values; in many they are characters like any others.

    They do where lines differ in their number of tabs, which quotes would explain, and where every value that begins
    with a quote ends with one.
    """
    is_open = re.compile(r'(?:^|\t)"(?![^\t]*"(?:\t|$))')
    tabs, has_open = set(), False
    for _, line in decoded_lines(path):
        if line.strip():
            tabs.add(line.count("\t"))
            has_open = has_open or is_open.search(line) is not None
    return len(tabs) > 1 or not has_open


def _explained(path: Path, error: Any, names: Sequence[str], delimiter: str | None, has_header: bool) -> InputError:
    """Return an error that says which row is not as the first line, which pyarrow does not say of a stream.

    Args:
        path: The file.
        error: What pyarrow raised.
        names: The names of the columns.
        delimiter: What stands between two values; None where quotes do not enclose values, in TSV.
        has_header: Whether the first line has the names.
    """
    lines = (f"{line}\n" for _, line in decoded_lines(path))  # raises where a line is not UTF-8
    rows = csv.reader(lines, delimiter=delimiter) if delimiter else (line[:-1].split("\t") for line in lines)
    number = 0 if has_header else 1
    try:
        for values in rows:
            if values and values != [""] and len(values) != len(names):
                return InputError(
                    f"{path.name}, row {number}: {len(values)} values for {len(names)} columns; values that hold a "
                    "delimiter or a line break must be in double quotes, and quotes must end"
                )
            number += bool(values) and values != [""]
    except csv.Error as reason:  # such as a value beyond the length that Python's reader takes
        return InputError(f"{path.name}, row {number}: {reason}; a quote may not have ended")
    return InputError(f"{path.name}: {error}")
