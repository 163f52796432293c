"""JSON lines, and JSON files that hold a list of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.data.readers.opening import open_binary
from distilbert_tasks.data.records import Records

__all__ = ["read_json", "read_jsonl"]

AT_ONCE = 10_000
"""How many records are read at a time."""


def read_jsonl(path: Path) -> Iterator[Records]:
    """Yield the records of a file that has a JSON object in each line; blank lines count as lines only.

    Raises:
        InputError: A line is not a JSON object.
    """
    with open_binary(path) as file:
        lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
        while some := list(islice(lines, AT_ONCE)):
            rows = [_parse(line, f"{path.name}, line {number}") for number, line in some]
            yield as_records(rows, path.name, [number for number, _ in some], "line")


def read_json(path: Path) -> Iterator[Records]:
    """Yield the records of a JSON file: a list of objects, or an object that has one in "data".

    Raises:
        InputError: It is something else.
    """
    with open_binary(path) as file:
        try:
            value = json.loads(file.read())
        except ValueError as error:
            raise InputError(f"{path.name} is not JSON: {error}; for one object a line name it .jsonl") from error
    rows = value.get("data") if isinstance(value, dict) else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f'{path.name}: expected a list of objects, or one in "data"')
    yield as_records(rows, path.name, range(1, len(rows) + 1), "row")


def as_records(rows: Sequence[dict[str, Any]], source: str, numbers: Sequence[int], unit: str) -> Records:
    """Return objects as columns; a name that an object lacks is None there."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns: dict[str, Sequence[Any]] = {name: [row.get(name) for row in rows] for name in names}
    return Records(columns, source, np.asarray(numbers, np.int64), unit)


def _parse(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f'{where}: expected an object in each line, as {{"text": …}}; it is {type(value).__name__}')
    return value
