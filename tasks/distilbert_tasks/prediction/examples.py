"""Examples from rows: which columns a model's task takes to predict, and what they are as the input of its pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.data.canonical import CANONICAL
from distilbert_tasks.data.canonical.values import texts
from distilbert_tasks.data.column_names import NAMES
from distilbert_tasks.data.columns import Chosen, Requested, choose_columns
from distilbert_tasks.data.records import Records
from distilbert_tasks.prediction.inputs import Row

__all__ = ["choose", "example_of"]

_OBJECTS = {
    "question-answering": 'give objects such as {"question": "…", "context": "…"}, or the context as --context',
    "multiple-choice": 'give objects such as {"prompt": "…", "choices": ["…", "…"]}',
}
"""What is said where somebody gives texts alone."""
_TEXTS = NAMES["fill-mask"]
"""What is taken of texts that are no pairs."""


def choose(task: str, first: Row, requested: Requested, source: str) -> Chosen:
    """Return the columns of each role that a task takes to predict.

    Args:
        task: The task of a pipeline.
        first: The first row, by whose columns they are chosen.
        requested: Those that the user names, by role.
        source: What the rows are called in errors.

    Raises:
        InputError: A column is not there, or several could be meant.
    """
    if task in _OBJECTS and not requested and list(first) == ["text"]:
        raise InputError(f"{task} takes more than a text; {_OBJECTS[task]}")
    roles = _TEXTS if _takes_texts(task, first, requested or {}) else None
    return choose_columns(task, list(first), requested, False, source, roles=roles)


def _takes_texts(task: str, first: Row, requested: Mapping[str, str | Sequence[str]]) -> bool:
    """Return whether a pipeline takes texts alone, and no words that are cut already."""
    if task == "token-classification":
        is_cut = "tokens" in requested or any(isinstance(first.get(name), list) for name in ("tokens", "words"))
        return not is_cut
    return task in ("zero-shot-classification", "feature-extraction")


def example_of(row: Row, chosen: Chosen, number: int, source: str) -> Any:
    """Return what a pipeline takes of a row: a text, a pair, a question, choices, or words as fine-tuning takes them.

    Args:
        row: The row.
        chosen: The columns to take.
        number: Its number, for errors.
        source: What the rows are called in errors.

    Raises:
        InputError: A column is not there, or its value cannot be used.
    """
    missing = [name for names in chosen.values() for name in names if name not in row]
    if missing:
        raise InputError(
            f"example {number} has no {missing[0]!r}, which the first one has; give the same columns to all"
        )
    records = Records({name: [value] for name, value in row.items()}, source, np.array([number]))
    if "choices" in chosen or "tokens" in chosen:
        columns = CANONICAL["multiple-choice" if "choices" in chosen else "token-classification"](records, chosen)
        return columns["tokens"][0] if "tokens" in columns else {name: columns[name][0] for name in columns}
    if "question" in chosen:
        return {role: texts(records, chosen[role][0])[0] for role in ("question", "context")}
    text_values = [texts(records, name)[0] for name in chosen["text"] + chosen.get("text_pair", ())]
    return dict(zip(("text", "text_pair"), text_values, strict=True)) if len(text_values) == 2 else text_values[0]
