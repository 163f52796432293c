"""JSON lines, JSON files that hold a list of objects or an object of columns, and SQuAD's nested form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.data.readers.opening import AT_ONCE, chunks, decoded_lines
from distilbert_tasks.data.records import Records

__all__ = ["as_records", "parse_object", "read_json", "read_jsonl", "rows_of_json"]


def read_jsonl(path: Path) -> Iterator[Records]:
    """Yield the records of a file that has a JSON object in each line; blank lines count as lines only.

    Raises:
        InputError: A line is not a JSON object.
    """
    lines = ((number, line) for number, line in decoded_lines(path) if line.strip())
    for chunk in chunks(lines):
        rows = [parse_object(line, f"{path.name}, line {number}") for number, line in chunk]
        yield as_records(rows, path.name, [number for number, _ in chunk], "line")


def read_json(path: Path) -> Iterator[Records]:
    """Yield the records of a JSON file, whatever form they have in it.

    Raises:
        InputError: It is no list of objects, no object of columns, and not SQuAD's form.
    """
    text = "\n".join(line for _, line in decoded_lines(path))
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            raise InputError(f"{path.name}, line {error.lineno} is not JSON: {error.msg}") from error
        yield from read_jsonl(path)  # an object in each line, in a file called .json
        return
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or brackets in brackets
        raise InputError(f"{path.name} holds what cannot be read: {error}") from error
    rows, nested = rows_of_json(value, path.name)
    for start in range(0, len(rows), AT_ONCE):
        chunk = rows[start : start + AT_ONCE]
        numbers = range(start + 1, start + 1 + len(chunk))
        yield as_records(chunk, path.name, numbers, "question" if nested else "row")


def rows_of_json(value: Any, name: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the rows that a JSON value holds, and whether they are questions from SQuAD's nested form.

    Args:
        value: A list of objects, an object of columns, or either as "data".
        name: What it is called in errors.

    Raises:
        InputError: It has another form.
    """
    rows = _rows(value)
    if rows is None:
        raise InputError(f"{name} holds {_kind(value)}; expected a list of objects, or lists of one length by column")
    nested = bool(rows) and all("paragraphs" in row for row in rows)
    return (list(_questions(rows, name)) if nested else rows), nested


def as_records(rows: Sequence[dict[str, Any]], source: str, numbers: Sequence[int], unit: str) -> Records:
    """Return objects as columns; what an object lacks is None."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return Records(columns, source, np.asarray(numbers, np.int64), unit)


def _rows(value: Any) -> list[dict[str, Any]] | None:
    """Return the objects that a JSON value holds; None where it has another form."""
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return value
    is_columns = isinstance(value, dict) and value and all(isinstance(column, list) for column in value.values())
    if is_columns and len({len(column) for column in value.values()}) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
    return None


def _questions(articles: Sequence[dict[str, Any]], name: str) -> Iterator[dict[str, Any]]:
    """Yield SQuAD's questions, each with its context; those that cannot be answered have empty lists."""
    try:
        for article in articles:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    row = {"id": question.get("id"), "title": article.get("title"), "context": paragraph["context"]}
                    row["question"] = question["question"]
                    if "answers" in question:
                        row["answers"] = question["answers"]
                    yield row
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{name} is not in SQuAD's form: {error!r} in an article") from error


def parse_object(line: str, where: str) -> dict[str, Any]:
    """Return the JSON object of a line.

    Args:
        line: The text.
        where: The file and the number of the line, for the message.

    Raises:
        InputError: It is no JSON, or no object.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f'{where} holds {_kind(value)}; expected an object, such as {{"text": "…"}}')
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
