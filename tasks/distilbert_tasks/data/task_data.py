"""The data of one task: splits in the columns that the task has, and what labels mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["TaskData"]


@dataclass(frozen=True)
class TaskData:
    """Splits of one task.

    Attributes:
        train: A `datasets.Dataset` in the columns of the task; None where none was given.
        validation: As `train`.
        test: As `train`.
        labels: The names of the labels by class id; None where the task has none.
        problem_type: "single_label_classification", "multi_label_classification" or "regression", of text
            classification; else None.
        notes: Sentences for the user about what was chosen.
    """

    train: Any | None
    validation: Any | None
    test: Any | None
    labels: tuple[str, ...] | None
    problem_type: str | None
    notes: tuple[str, ...]
