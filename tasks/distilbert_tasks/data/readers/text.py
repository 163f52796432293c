"""Plain text: a record for each line; and CoNLL files: a word and its label in each line, blank lines between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.data.readers.json import as_records
from distilbert_tasks.data.readers.opening import AT_ONCE, chunks, decoded_lines
from distilbert_tasks.data.records import Records

__all__ = ["read_conll", "read_conllu", "read_text"]

CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The values of a line of Universal Dependencies."""


def read_text(path: Path) -> Iterator[Records]:
    """Yield the lines of a file as the column `text`.

    Raises:
        InputError: A line is not UTF-8.
    """
    for chunk in chunks(decoded_lines(path)):
        numbers = np.asarray([number for number, _ in chunk], np.int64)
        yield Records({"text": [line for _, line in chunk]}, path.name, numbers, "line")


def read_conll(path: Path) -> Iterator[Records]:
    """Yield sentences: `tokens` is the first value of each line, `tags` the last; "0", "1", … are all values by column.

    Values stand apart by tabs, or else by white space. Lines of -DOCSTART- and comments are left out.

    Raises:
        InputError: A line has more or fewer values than the first one.
    """
    sentences = _sentences(path)
    while chunk := list(islice(sentences, AT_ONCE)):
        yield as_records([row for _, row in chunk], path.name, [number for number, _ in chunk], "line")


def read_conllu(path: Path) -> Iterator[Records]:
    """Yield sentences of Universal Dependencies: `tokens`, `tags`, which are parts of speech, and each value by name.

    Ranges of words that are written as one, and empty nodes, are left out, as their words have lines of their own.

    Raises:
        InputError: A line has not 10 values.
    """
    sentences = _sentences_of_conllu(path)
    while chunk := list(islice(sentences, AT_ONCE)):
        yield as_records([row for _, row in chunk], path.name, [number for number, _ in chunk], "line")


def _sentences_of_conllu(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the first line of each sentence, and its columns."""
    words: list[list[str]] = []
    start = 0
    for number, line in chain(decoded_lines(path), [(0, "")]):
        values = line.strip().split("\t")
        if values == [""] and words:
            by_name = dict(zip(CONLLU, map(list, zip(*words, strict=True)), strict=True))
            yield start, {"tokens": by_name["form"], "tags": by_name["upos"], **by_name}
            words = []
        if line.startswith("#") or not values[0].isdigit():
            continue
        if len(values) != len(CONLLU):
            raise InputError(f"{path.name}, line {number}: {len(values)} values; expected {len(CONLLU)}, tabs between")
        start = start if words else number
        words.append(values)


def _sentences(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the first line of each sentence, and its columns."""
    words: list[list[str]] = []
    width, start = 0, 0
    for number, line in decoded_lines(path):
        values = [value.strip() for value in line.rstrip().split("\t")] if "\t" in line.rstrip() else _by_spaces(line)
        if not values or values[0] == "-DOCSTART-":
            if words:
                yield start, _columns(words)
            words = []
            continue
        if line.startswith("# ") and len(values) != (width or 2):
            continue
        width = width or len(values)
        if len(values) != width:
            raise InputError(
                f"{path.name}, line {number}: {len(values)} values, and {width} in the lines before; write one word in "
                "each line, its label last, and blank lines between sentences"
            )
        start = start if words else number
        words.append(values)
    if words:
        yield start, _columns(words)


def _by_spaces(line: str) -> list[str]:
    """Return the values of a line; a no-break space, as in "10\N{NO-BREAK SPACE}000", is a part of its word."""
    return re.findall(r"[^ \t\r\v\f]+", line) if line.strip() else []


def _columns(words: list[list[str]]) -> dict[str, list[str]]:
    by_number = {str(number): list(column) for number, column in enumerate(zip(*words, strict=True))}
    last = by_number[str(len(by_number) - 1)]
    return {"tokens": by_number["0"], **({"tags": last} if len(by_number) > 1 else {}), **by_number}
