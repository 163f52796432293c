"""Prompts, choices, and which of them is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.canonical.values import Columns, check_unicode, is_missing, literal, texts
from distilbert_tasks.data.columns import Chosen
from distilbert_tasks.data.records import Records

__all__ = ["multiple_choice"]


def multiple_choice(records: Records, chosen: Chosen) -> Columns:
    """Return `prompt`, `choices` and `label`.

    The second column of a prompt begins every choice, as the unfinished sentence of SWAG does. Where choices have
    names of their own, as in ARC, a label that is such a name becomes the number of its choice.

    Raises:
        InputError: A value is of another kind, a row has another number of choices than the first, or no label.
    """
    prompts = [texts(records, name) for name in chosen.get("prompt", ())]
    columns: Columns = {"prompt": prompts[0] if prompts else [""] * len(records)}
    choices, names = _choices(records, chosen["choices"])
    if len(prompts) > 1:
        choices = [
            [f"{start} {choice}".strip() for choice in row] for start, row in zip(prompts[1], choices, strict=True)
        ]
    columns["choices"] = choices
    if "label" in chosen:
        column = chosen["label"][0]
        columns["label"] = [
            _label(value, names[index], records.where(index, column))
            for index, value in enumerate(records.values(column))
        ]
    return columns


def _choices(records: Records, names: tuple[str, ...]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the choices of each row, and their names where they have some."""
    if len(names) > 1:
        joined = [list(row) for row in zip(*(texts(records, name) for name in names), strict=True)]
        return joined, [[] for _ in joined]
    values = [literal(value) for value in records.values(names[0])]
    labels = [list(value.get("label") or ()) if isinstance(value, Mapping) else [] for value in values]
    rows: list[Any] = [value.get("text") if isinstance(value, Mapping) else value for value in values]
    for index, row in enumerate(rows):
        if not isinstance(row, (list, tuple)) or not all(isinstance(choice, str) for choice in row):
            raise InputError(f"{records.where(index, names[0])}: {row!r} is not a list of choices")
        if len(row) < 2:
            raise InputError(f"{records.where(index, names[0])}: {len(row)} choices; there must be at least two")
    check_unicode([" ".join(row) for row in rows], records, names[0])
    return [list(row) for row in rows], labels


def _label(value: Any, names: list[str], where: str) -> Any:
    if is_missing(value):
        raise InputError(f"{where}: there is no label; write the number of the right choice, from 0")
    return names.index(value) if value in names else value
