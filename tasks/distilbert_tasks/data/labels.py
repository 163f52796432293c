"""Labels: their names in order, and the class ids of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distilbert_tasks.data.options import DataOptions

__all__ = ["resolve_labels"]


def resolve_labels(
    task: str, splits: Mapping[str, Any], options: DataOptions, notes: list[str]
) -> tuple[tuple[str, ...] | None, str | None]:
    """Replace labels by class ids, and return the labels' names and the problem type.

    Args:
        task: The name of the task.
        splits: The splits, whose columns are changed.
        options: Labels and problem type, where the user says them.
        notes: Where sentences for the user are added.
    """
    column = {"text-classification": "label", "token-classification": "tags"}.get(task)
    if column is None or not options.labeled:
        return None, None
    values = splits["train"].columns[column]
    flat = [x for value in values for x in value] if column == "tags" else values
    names = options.labels or sorted(set(map(str, flat)))
    ids = {name: number for number, name in enumerate(names)}
    for split in splits.values():
        values = split.columns[column]
        split.columns[column] = (
            [[ids[str(x)] for x in value] for value in values] if column == "tags" else [ids[str(x)] for x in values]
        )
    return tuple(names), "single_label_classification" if task == "text-classification" else None
