"""Data sets of a task from files, from the hub, or from memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.canonical import CANONICAL
from distilbert_tasks.data.columns import Chosen, choose_columns
from distilbert_tasks.data.labels import resolve_labels
from distilbert_tasks.data.options import DataOptions
from distilbert_tasks.data.readers.csv import read_csv
from distilbert_tasks.data.readers.json import read_json, read_jsonl
from distilbert_tasks.data.records import Locations, Records
from distilbert_tasks.data.task_data import TaskData
from distilbert_tasks.task import find_task

__all__ = ["load_data"]

SPLITS = ("train", "validation", "test")


@dataclass
class Split:
    """One split while it is read: its columns, and where its rows are from."""

    columns: dict[str, list[Any]] = field(default_factory=dict)
    locations: Locations = field(default_factory=Locations)


def load_data(
    task: str,
    train: Any = None,
    validation: Any = None,
    test: Any = None,
    *,
    options: DataOptions | None = None,
    **changes: Any,
) -> TaskData:
    """Load the data of a task.

    Args:
        task: The task, by any of its names.
        train: A file, several, a folder, a pattern such as "data/*.csv", the id of a data set on the hub, or a
            `datasets.Dataset`.
        validation: As `train`; where it is None, a part of the training set becomes it.
        test: As `train`.
        options: How it is read; None for the defaults.
        **changes: Fields of `DataOptions`, by name, that differ from `options`.

    Raises:
        InputError: A file or a column is not there, or a row has what the task cannot use; the message says where.
    """
    from dataclasses import replace

    import datasets

    name, options = find_task(task).name, replace(options or DataOptions(), **changes)
    notes: list[str] = []
    sources = {
        split: source for split, source in zip(SPLITS, (train, validation, test), strict=True) if source is not None
    }
    splits = {split: _read(name, source, options, notes) for split, source in sources.items()}
    labels, problem_type = resolve_labels(name, splits, options, notes)
    made = {split: datasets.Dataset.from_dict(one.columns) for split, one in splits.items()}
    if "train" in made and "validation" not in made and options.validation_share:
        parts = made["train"].train_test_split(test_size=options.validation_share, seed=options.seed)
        made |= {"train": parts["train"], "validation": parts["test"]}
        notes.append(
            f"{len(made['validation'])} rows of the training set, drawn with seed {options.seed}, are for validation."
        )
    train, validation, test = (made.get(split) for split in SPLITS)
    return TaskData(train, validation, test, labels, problem_type, tuple(notes))


def _read(task: str, source: Any, options: DataOptions, notes: list[str]) -> Split:
    split, chosen = Split(), None
    for records in _records(source, options):
        if chosen is None:
            chosen = choose_columns(task, list(records.columns), options.columns, options.labeled, records.source)
            notes.append(_describe(records.source, chosen))
        for name, values in CANONICAL[task](records, chosen).items():
            split.columns.setdefault(name, []).extend(values)
        split.locations.add(records)
    return split


def _describe(source: str, chosen: Chosen) -> str:
    parts = [f"{role} is {' and '.join(map(repr, names))}" for role, names in chosen.items()]
    return f"In {source}, {', '.join(parts)}."


def _records(source: Any, options: DataOptions) -> Iterator[Records]:
    path = Path(source)
    if not path.exists():
        raise InputError(f"{source}: there is no such file")
    if path.suffix in (".csv", ".tsv"):
        yield from read_csv(path, "," if path.suffix == ".csv" else "\t", options.column_names)
    elif path.suffix == ".jsonl":
        yield from read_jsonl(path)
    else:
        yield from read_json(path)
