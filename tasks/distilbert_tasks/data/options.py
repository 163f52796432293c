"""What may be chosen about reading data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distilbert_common.errors import InputError

__all__ = ["PROBLEM_TYPES", "DataOptions"]

PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How data sets are read.

    Attributes:
        columns: The columns to take, by the task's own names for them, such as {"text": "review"}; of `label` and
            `choices` a list of columns; what is not named is looked for.
        file_format: "csv", "tsv", "json", "jsonl", "parquet", "arrow", "text", "conll", "conllu" or "squad"; None to
            tell it by the name of the file.
        column_names: The names of the columns of files that have no line of names.
        labels: The names of the labels in the order of their class ids; None for those of the training set, sorted.
        problem_type: What labels of text classification are; None to tell it by the labels.
        labeled: Whether rows must have labels; False for data to predict, whose labels are not read.
        validation_share: How much of the training set becomes the validation set where there is none; 0 for nothing.
        seed: What the choice of these rows depends on.
        max_rows: The most rows to read of each split.
        streaming: Whether data sets of the hub are read row by row, and not downloaded as files first.
    """

    columns: Mapping[str, str | Sequence[str]] | None = None
    file_format: str | None = None
    column_names: Sequence[str] | None = None
    labels: Sequence[str] | None = None
    problem_type: str | None = None
    labeled: bool = True
    validation_share: float = 0.1
    seed: int = 0
    max_rows: int | None = None
    streaming: bool = False

    def __post_init__(self) -> None:
        if self.problem_type not in (None, *PROBLEM_TYPES):
            raise InputError(f"problem_type is {self.problem_type!r}; choose from {', '.join(PROBLEM_TYPES)}")
        if not 0 <= self.validation_share < 1:
            raise InputError(f"validation_share is {self.validation_share}; it must be from 0 to below 1")
        if self.columns is not None and not isinstance(self.columns, Mapping):
            raise InputError(f'columns is {self.columns!r}; expected names by role, such as {{"text": "review"}}')
        for role, names in (self.columns or {}).items():
            if not isinstance(names, str) and not (isinstance(names, Sequence) and all(map(_is_text, names))):
                raise InputError(
                    f"columns names {names!r} for {role}; expected the name of a column, or a list of names"
                )
        if self.max_rows is not None and self.max_rows < 1:
            raise InputError(f"max_rows is {self.max_rows}; it must be at least 1")


def _is_text(value: object) -> bool:
    return isinstance(value, str)
