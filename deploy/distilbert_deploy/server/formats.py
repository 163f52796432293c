"""Bodies and answers as SageMaker's clients have them: JSON, lines of JSON, CSV, and NumPy's files of texts."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_deploy.server.failures import RequestFailure
from distilbert_deploy.server.tasks import TaskContract
from distilbert_tasks.prediction.inputs import allow_long_values

__all__ = ["CSV", "JSON", "LINES", "NPY", "READERS", "WRITERS", "Payload"]

JSON, LINES, CSV, NPY = "application/json", "application/jsonlines", "text/csv", "application/x-npy"
INPUTS = "inputs"
"""The column of texts, as Hugging Face's containers have it; a column may also have the name of a field."""


@dataclass(frozen=True)
class Payload:
    """A body as it came.

    Attributes:
        body: Its bytes.
        kind: Which of `READERS` reads it.
        accept: Which of `WRITERS` writes the answer.
    """

    body: bytes
    kind: str = JSON
    accept: str = JSON


Reader = Callable[[bytes, TaskContract, int], Any]
Writer = Callable[[Any, Sequence[Any]], bytes]


def _read_json(body: bytes, contract: TaskContract, max_items: int) -> Any:
    return _parsed(_decoded(body), "the body")


def _read_lines(body: bytes, contract: TaskContract, max_items: int) -> Any:
    """Read an example, or an object with `inputs`, from each line."""
    values: list[Any] = []
    for number, line in enumerate(io.StringIO(_decoded(body)), 1):
        if len(values) > max_items:  # one too many is enough to refuse
            break
        if line.strip():
            value = _parsed(line, f"line {number}")
            values.append(value[INPUTS] if isinstance(value, Mapping) and set(value) == {INPUTS} else value)
    return {INPUTS: values}


def _read_csv(body: bytes, contract: TaskContract, max_items: int) -> Any:
    """Read an example from each row under a header."""
    allow_long_values()  # how large a body may be is asked before
    rows = csv.reader(io.StringIO(_decoded(body), newline=""), strict=True)
    try:
        lines = list(islice((row for row in rows if row), max_items + 2))
    except csv.Error as error:
        raise RequestFailure(400, f"the body is no CSV: line {rows.line_num}: {error}") from None
    columns = _columns(lines[0], contract)
    for number, line in enumerate(lines[1:], 1):
        if len(line) != len(columns):
            raise InputError(f"row {number} under the header has {len(line)} cells; expected {len(columns)}")
    if columns == [INPUTS]:
        return {INPUTS: [line[0] for line in lines[1:]]}
    records = [dict(zip(columns, line, strict=True)) for line in lines[1:]]
    return {
        INPUTS: [{name: cell for name, cell in one.items() if cell or name in contract.required} for one in records]
    }


def _columns(header: Sequence[str], contract: TaskContract) -> list[str]:
    """Return the names of a header.

    Raises:
        InputError: They are not fields of the task's examples, one is missing, or fields hold no text.
    """
    columns = [name.strip() for name in header]
    if columns == [INPUTS] and contract.takes_text:
        return columns
    expected = ", ".join(contract.fields) + (", or inputs" if contract.takes_text else "")
    if any(contract.fields[name]["type"] != "string" for name in contract.required):
        raise InputError(f"an example has {expected}, which no row of CSV holds; send application/json")
    unknown = [name for name in columns if name not in contract.fields]
    missing = [name for name in contract.required if name not in columns]
    if unknown or missing or len(set(columns)) < len(columns):
        raise InputError(f"the first line of the CSV is no header of this task; expected columns {expected}, each once")
    return columns


def _read_npy(body: bytes, contract: TaskContract, max_items: int) -> Any:
    """Read texts from an array of one dimension, whose header is checked before anything is made of it."""
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = read(stream)
    except Exception:  # of a header that somebody made up, Python's parser raises what it likes
        raise RequestFailure(400, "the body is no file of numpy.save, or its header is damaged") from None
    if dtype.kind not in "US" or not dtype.itemsize or len(shape) != 1:
        raise InputError("the array does not hold texts in one dimension; save numpy.array([…]) of strings")
    if shape[0] > max_items:
        raise InputError(f"there are {shape[0]} examples; send at most {max_items} at once")
    if shape[0] < 0 or shape[0] * dtype.itemsize != len(body) - stream.tell():
        raise RequestFailure(400, "the array has another size than its header says; send what numpy.save wrote")
    array = np.frombuffer(body, dtype, offset=stream.tell())
    try:
        if dtype.kind == "U" and array.size and array.view(f"{dtype.byteorder}u4").max() > sys.maxunicode:
            raise ValueError("NumPy fails on such a character with an error of Python's own")
        return {INPUTS: [text.decode() if isinstance(text, bytes) else text for text in array.tolist()]}
    except ValueError:
        raise RequestFailure(400, "the array holds what is no character of Unicode; send texts") from None


def _decoded(body: bytes) -> str:
    """Return a body as text.

    Raises:
        RequestFailure: It is empty, or no UTF-8.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestFailure(400, f"the body is no UTF-8: byte {error.start} is wrong; send UTF-8") from None
    if not text.strip():
        raise RequestFailure(400, 'the body is empty; send JSON such as {"inputs": "a text"}')
    return text


def _parsed(text: str, name: str) -> Any:
    """Read JSON: without NaN, nested no deeper than Python reads.

    Raises:
        RequestFailure: It is none.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestFailure(400, f"{name} is nested too deeply; send a text, a list or an object") from None
    except ValueError as error:
        raise RequestFailure(400, f"{name} is no JSON: {error}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON")


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _write_json(content: Any, results: Sequence[Any]) -> bytes:
    return _to_json(content).encode()


def _write_lines(content: Any, results: Sequence[Any]) -> bytes:
    """Write the result of each example as a line."""
    return "".join(f"{_to_json(result)}\n" for result in results).encode()


def _write_csv(content: Any, results: Sequence[Any]) -> bytes:
    """Write the result of each example as a row: its fields if it has such, else its JSON in one cell."""
    columns = list(results[0]) if isinstance(results[0], Mapping) else []
    is_flat = all(isinstance(one, Mapping) and list(one) == columns and _is_flat(one) for one in results)
    rows = [list(one.values()) for one in results] if is_flat else [[one] for one in results]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns if is_flat else ["result"])
    writer.writerows([cell if isinstance(cell, str) else _to_json(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _is_flat(result: Mapping[str, Any]) -> bool:
    return not any(isinstance(value, (list, dict)) for value in result.values())


READERS: Mapping[str, Reader] = {JSON: _read_json, LINES: _read_lines, CSV: _read_csv, NPY: _read_npy}
"""By content type: from a body to what its JSON would be."""
WRITERS: Mapping[str, Writer] = {JSON: _write_json, LINES: _write_lines, CSV: _write_csv}
"""By content type: from the JSON of an answer, and the result of each example, to bytes."""
