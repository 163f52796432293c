"""Examples to predict, as rows by column, read as they are asked for: nothing but the standard library is needed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from distilbert_common.errors import InputError, MissingFrameworkError
from distilbert_tasks.data.readers.csv import checked_header, delimiter_of, has_quotes
from distilbert_tasks.data.readers.json import parse_object, rows_of_json
from distilbert_tasks.data.readers.opening import open_binary, plain_name

__all__ = [
    "INPUT_FORMATS",
    "Row",
    "allow_long_values",
    "read_rows",
    "rows_of_stream",
    "rows_of_table",
    "rows_of_texts",
]

Row = dict[str, Any]
_SUFFIXES = {".txt": "text", ".jsonl": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
_SUFFIXES |= {".ndjson": "jsonl", ".text": "text", ".tab": "tsv"}
INPUT_FORMATS = tuple(dict.fromkeys(_SUFFIXES.values()))
"""The formats of files with examples."""


def rows_of_texts(texts: Iterable[str]) -> Iterator[Row]:
    """Yield the row of each text; one that is a JSON object is a row with its columns."""
    for text in texts:
        yield _object(text) or {"text": text}


def rows_of_table(table: Any) -> Iterator[Row]:
    """Yield the rows of a data frame of pandas or polars, or of a table of Arrow.

    Raises:
        InputError: A column holds values of several types.
    """
    import pyarrow as pa

    try:
        batches = pa.table(table).to_batches(1000)
    except pa.ArrowException as error:
        raise InputError(f"the data frame: {error}; give each column values of one type") from error
    for batch in batches:
        yield from batch.to_pylist()


def _object(text: str) -> Row | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def read_rows(path: Path, file_format: str | None = None) -> Iterator[Row]:
    """Yield the rows of a file; it may be compressed.

    Args:
        path: The file.
        file_format: One of `INPUT_FORMATS`; None to tell it by the name.

    Raises:
        InputError: The format is not known, or a row cannot be read; the message says where.
        MissingFrameworkError: A parquet file, and pyarrow is not installed.
    """
    suffix = Path(plain_name(path)).suffix.lower()
    kind = file_format or _SUFFIXES.get(suffix)
    if kind is None and path.is_dir():
        raise InputError(f"{path} is a folder; give a file")
    if kind is None:
        raise InputError(f"{path} ends in {suffix or 'nothing'}; name its format, one of {', '.join(INPUT_FORMATS)}")
    if kind == "parquet":
        yield from _parquet(path)
        return
    is_quoted = kind != "tsv" or has_quotes(path, "\t")
    with open_binary(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as stream:
        yield from rows_of_stream(stream, kind if is_quoted else "plain tsv", path.name)


def rows_of_stream(stream: TextIO, file_format: str, name: str) -> Iterator[Row]:
    """Yield the rows of text that is read as it comes, such as standard input.

    Args:
        stream: The text.
        file_format: One of `INPUT_FORMATS` but parquet.
        name: What it is called in errors.

    Raises:
        InputError: There is no such format, or a row cannot be read; the message says where.
    """
    if file_format not in _READERS:
        known = ", ".join(one for one in INPUT_FORMATS if one in _READERS)
        raise InputError(f"the format of {name} is {file_format!r}; expected one of {known}")
    try:
        yield from _READERS[file_format](stream, name)
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8 text: {error.reason}; save it as UTF-8") from error


def _text(stream: TextIO, name: str) -> Iterator[Row]:
    for line in stream:
        yield from rows_of_texts([line.rstrip("\r\n")])


def _jsonl(stream: TextIO, name: str) -> Iterator[Row]:
    for number, line in enumerate(stream, 1):
        if line.strip():
            yield parse_object(line, f"{name}, line {number}")


def _json(stream: TextIO, name: str) -> Iterator[Row]:
    try:
        value = json.load(stream)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON: {error}; for one object a line name it .jsonl") from error
    yield from rows_of_json(value, name)[0]


def allow_long_values() -> None:
    """Let Python's readers of CSV take values of any length; their own limit of 131,072 is below that of some texts."""
    csv.field_size_limit(2**31 - 1)


def _csv(stream: TextIO, name: str, delimiter: str | None = None, *, is_quoted: bool = True) -> Iterator[Row]:
    allow_long_values()
    first = stream.readline()
    reader = csv.DictReader(
        chain([first] if first else [], stream),
        delimiter=delimiter or delimiter_of(first),
        strict=True,
        quoting=csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE,
    )
    try:
        if reader.fieldnames is not None:
            reader.fieldnames = checked_header(reader.fieldnames, name)
        for row in reader:
            if None in row or None in row.values():
                has = "too many" if None in row else "too few"
                raise InputError(
                    f"{name}, line {reader.line_num}: {has} values for {len(reader.fieldnames or ())} columns"
                )
            yield dict(row)
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: {error}; repair the file") from error


def _tsv(stream: TextIO, name: str) -> Iterator[Row]:
    return _csv(stream, name, "\t")


def _plain_tsv(stream: TextIO, name: str) -> Iterator[Row]:
    return _csv(stream, name, "\t", is_quoted=False)


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingFrameworkError("a parquet file", "pyarrow", "train") from error
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(1000):
                yield from batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} cannot be read as parquet: {error}; get it again") from error


_READERS: dict[str, Callable[[TextIO, str], Iterator[Row]]] = {
    "text": _text,
    "jsonl": _jsonl,
    "json": _json,
    "csv": _csv,
    "tsv": _tsv,
    "plain tsv": _plain_tsv,
}
