"""Reading one split: its records, one part after another, become the columns of the task."""

from __future__ import annotations

from dataclasses import dataclass, field

from distilbert_common.errors import InputError
from distilbert_tasks.data.canonical import CANONICAL, LABEL_COLUMNS, Columns
from distilbert_tasks.data.canonical.values import is_missing
from distilbert_tasks.data.column_names import NAMES
from distilbert_tasks.data.columns import Chosen, choose_columns
from distilbert_tasks.data.labels import Split
from distilbert_tasks.data.options import DataOptions
from distilbert_tasks.data.records import Records
from distilbert_tasks.data.sources import Source
from distilbert_tasks.data.storage import TableWriter

__all__ = ["SplitReader", "read_split"]


@dataclass
class SplitReader:
    """One split while it is read.

    Attributes:
        name: "train", "validation" or "test".
        task: The name of the task.
        table: Its columns but for labels that become ids.
        labels: These labels as they are written.
        empty_texts: How many texts are blank.
        choices: How many choices each row has, of multiple choice.
        columns: The names of all its columns.
    """

    name: str
    task: str
    table: TableWriter = field(default_factory=TableWriter)
    labels: Split = field(default_factory=Split)
    empty_texts: int = 0
    choices: int = 0
    columns: tuple[str, ...] = ()

    def add(self, records: Records, chosen: Chosen) -> None:
        """Take the next records."""
        columns = CANONICAL[self.task](records, chosen)
        self._check_columns(records, columns)
        self.labels.locations.add(records)
        label = LABEL_COLUMNS.get(self.task)
        if label in columns:
            self.labels.values = self.labels.values or []
            self.labels.values.extend(columns.pop(label))
            self.labels.columns = chosen[label]
            self.labels.label_names = records.label_names
        self._check_choices(records, chosen, columns)
        self.empty_texts += sum(not text.strip() for text in columns.get("text", ()))
        self.table.add(columns)

    def _check_columns(self, records: Records, columns: Columns) -> None:
        self.columns = self.columns or tuple(columns)
        if odd := sorted({*self.columns} ^ {*columns}):
            has = "has" if odd[0] in columns else "lacks"
            raise InputError(
                f"{records.source} {has} {odd[0]}, unlike the files before it; give files with the same columns"
            )

    def _check_choices(self, records: Records, chosen: Chosen, columns: Columns) -> None:
        for index, choices in enumerate(columns.get("choices", ())):
            self.choices = self.choices or len(choices)
            if len(choices) != self.choices:
                raise InputError(
                    f"{records.where(index, chosen['choices'][0])}: {len(choices)} choices, and {self.choices} in the "
                    "first row; every row must have the same number"
                )


def read_split(task: str, name: str, source: Source, options: DataOptions, notes: list[str]) -> SplitReader | None:
    """Read a split; None for one that was not named and has no labels, as the tests of GLUE.

    Args:
        task: The name of the task.
        name: The name of the split.
        source: What it is read from.
        options: How it is read.
        notes: Where sentences for the user are added.

    Raises:
        InputError: A row has what the task cannot use, or there are no rows.
    """
    split, chosen, part = SplitReader(name, task), Chosen(), None
    for records in source.records(task, options):
        if records.source != part:
            if source.is_implied and _lacks_labels(task, records, options):
                notes.append(f"{records.source} is left out: it has no labels.")
                return None
            part = records.source
            chosen = choose_columns(task, list(records.columns), options.columns, options.labeled, part)
            notes.extend(_description(part, chosen))
        left = None if options.max_rows is None else options.max_rows - split.labels.locations.count
        split.add(records if left is None else records.head(left), chosen)
        if options.max_rows is not None and split.labels.locations.count >= options.max_rows:
            notes.append(f"Only the first {options.max_rows} rows of {name} are read.")
            break
    if not split.labels.locations.count:
        raise InputError(f"the {name} set has no rows; give one that has some")
    if split.empty_texts:
        notes.append(f"{split.empty_texts} of the {split.labels.locations.count} texts of {name} are empty.")
    return split


def _lacks_labels(task: str, records: Records, options: DataOptions) -> bool:
    """Return whether there are no labels at all."""
    role = next((name for name, role in NAMES[task].items() if role.is_label), None)
    if role is None or not options.labeled:
        return False
    available = list(records.columns)
    choose_columns(task, available, options.columns, False, records.source)  # raises where more is amiss than labels
    try:
        chosen = choose_columns(task, available, options.columns, True, records.source)
    except InputError:
        return True
    return all(is_missing(value) for name in chosen[role] for value in records.values(name))


def _description(source: str, chosen: Chosen) -> list[str]:
    """Return a sentence on the columns that are not called as the task calls them."""
    parts = [f"{role} is {' and '.join(map(repr, names))}" for role, names in chosen.items() if names != (role,)]
    return [f"In {source}, {', '.join(parts)}."] if parts else []
