"""Records in the columns of each task, every value checked: what is wrong is an error that says where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.columns import Chosen
from distilbert_tasks.data.records import Records

__all__ = ["CANONICAL", "Columns"]

Columns = dict[str, list[Any]]


def text_classification(records: Records, chosen: Chosen) -> Columns:
    """Return `text`, `text_pair` where texts are pairs, and `label` as it is written."""
    columns: Columns = {
        name: texts(records, column) for name, column in zip(("text", "text_pair"), chosen["text"], strict=False)
    }
    if "text_pair" in chosen:
        columns["text_pair"] = texts(records, chosen["text_pair"][0])
    if "label" in chosen:
        several = [list(records.columns[name]) for name in chosen["label"]]
        columns["label"] = several[0] if len(several) == 1 else [list(one) for one in zip(*several, strict=True)]
    return columns


def token_classification(records: Records, chosen: Chosen) -> Columns:
    """Return `tokens` and `tags`, as many of each."""
    tokens = lists(records, chosen["tokens"][0])
    columns: Columns = {"tokens": [[str(word) for word in words] for words in tokens]}
    if "tags" in chosen:
        columns["tags"] = lists(records, chosen["tags"][0])
        for index, (words, tags) in enumerate(zip(tokens, columns["tags"], strict=True)):
            if len(words) != len(tags):
                where = records.where(index, chosen["tags"][0])
                raise InputError(f"{where}: {len(tags)} tags for {len(words)} tokens; give one tag for each token")
    return columns


def question_answering(records: Records, chosen: Chosen) -> Columns:
    """Return `id`, `question`, `context` and `answers`."""
    columns: Columns = (
        {"id": [str(value) for value in records.columns[chosen["id"][0]]]}
        if "id" in chosen
        else {"id": [str(number) for number in records.numbers]}
    )
    columns["question"] = texts(records, chosen["question"][0])
    columns["context"] = texts(records, chosen["context"][0])
    if "answers" in chosen:
        answers = records.columns[chosen["answers"][0]]
        columns["answers"] = [
            {"text": list(answer["text"]), "answer_start": [int(start) for start in answer["answer_start"]]}
            for answer in answers
        ]
    return columns


def multiple_choice(records: Records, chosen: Chosen) -> Columns:
    """Return `prompt`, `choices` and `label`, the index of the right choice."""
    columns: Columns = {"prompt": texts(records, chosen["prompt"][0]) if "prompt" in chosen else [""] * len(records)}
    names = chosen["choices"]
    if len(names) == 1:
        columns["choices"] = lists(records, names[0])
    else:
        columns["choices"] = [list(one) for one in zip(*(texts(records, name) for name in names), strict=True)]
    if "label" in chosen:
        columns["label"] = [int(value) for value in records.columns[chosen["label"][0]]]
    return columns


def fill_mask(records: Records, chosen: Chosen) -> Columns:
    """Return `text`."""
    return {"text": texts(records, chosen["text"][0])}


def texts(records: Records, column: str) -> list[str]:
    """Return a column of texts.

    Raises:
        InputError: A value is no text.
    """
    values = list(records.columns[column])
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise InputError(f'{records.where(index, column)}: {value!r} is no text; write "" for an empty one')
    return values


def lists(records: Records, column: str) -> list[list[Any]]:
    """Return a column of lists.

    Raises:
        InputError: A value is no list.
    """
    values = list(records.columns[column])
    for index, value in enumerate(values):
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{records.where(index, column)}: {value!r} is no list")
    return [list(value) for value in values]


CANONICAL: dict[str, Callable[[Records, Chosen], Columns]] = {
    "text-classification": text_classification,
    "token-classification": token_classification,
    "question-answering": question_answering,
    "multiple-choice": multiple_choice,
    "fill-mask": fill_mask,
}
"""What makes the columns of each task, by its name."""
