"""Texts with a label, and words with a tag each."""

from __future__ import annotations

from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.canonical.values import (
    Columns,
    check_unicode,
    is_missing,
    literal,
    stripped,
    texts,
    word_lists,
)
from distilbert_tasks.data.columns import Chosen
from distilbert_tasks.data.records import Records

__all__ = ["text_classification", "token_classification"]


def text_classification(records: Records, chosen: Chosen) -> Columns:
    """Return `text`, `text_pair` where texts are pairs, and `label`; several columns of labels become a list.

    Raises:
        InputError: A value is no text, or a row has no label.
    """
    columns: Columns = {"text": texts(records, chosen["text"][0])}
    for name in (*chosen["text"][1:2], *chosen.get("text_pair", ())):
        columns["text_pair"] = texts(records, name)
    if "label" in chosen:
        by_column = [_labels(records, name) for name in chosen["label"]]
        columns["label"] = by_column[0] if len(by_column) == 1 else [list(row) for row in zip(*by_column, strict=True)]
    return columns


def _labels(records: Records, column: str) -> list[Any]:
    values = [_as_list(value) for value in records.values(column)]
    for index, value in enumerate(values):
        if is_missing(value):
            raise InputError(
                f"{records.where(index, column)}: there is no label; write one, or leave the row out of the file"
            )
    return values


def _as_list(value: Any) -> Any:
    """Return the list of labels that a text of a CSV file spells out; a name without white space around it."""
    parsed = literal(value)
    return parsed if isinstance(parsed, (list, tuple)) else stripped(value)


def token_classification(records: Records, chosen: Chosen) -> Columns:
    """Return `tokens` and `tags`, as many of each.

    Raises:
        InputError: A value is no list, a token has no tag, or there are more of one than of the other.
    """
    tokens, column = word_lists(records, chosen["tokens"][0]), chosen["tokens"][0]
    for index, words in enumerate(tokens):
        if not all(isinstance(word, str) for word in words):
            raise InputError(f"{records.where(index, column)}: {words!r} is not a list of words")
    check_unicode([" ".join(words) for words in tokens], records, column)
    columns: Columns = {"tokens": tokens}
    if "tags" in chosen:
        columns["tags"] = [[stripped(tag) for tag in tags] for tags in word_lists(records, chosen["tags"][0])]
        for index, (words, tags) in enumerate(zip(tokens, columns["tags"], strict=True)):
            _check_tags(words, tags, records.where(index, chosen["tags"][0]))
    return columns


def _check_tags(words: list[str], tags: list[Any], where: str) -> None:
    if len(words) != len(tags):
        raise InputError(f"{where}: {len(tags)} tags for {len(words)} tokens; give each token one tag")
    for number, (word, tag) in enumerate(zip(words, tags, strict=True), 1):
        if is_missing(tag):
            raise InputError(f"{where}: token {number}, {word!r}, has no tag; write O for a word outside every entity")
        if isinstance(tag, (list, dict)):
            raise InputError(f"{where}: token {number}, {word!r}, has the tag {tag!r}; expected a name or a number")
