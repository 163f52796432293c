"""Data sets of a task from files, from the hub, or from memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.errors import InputError
from distilbert_tasks.data.canonical import LABEL_COLUMNS
from distilbert_tasks.data.labels import resolve_labels
from distilbert_tasks.data.options import DataOptions
from distilbert_tasks.data.reading import SplitReader, read_split
from distilbert_tasks.data.sources import SPLITS, open_sources
from distilbert_tasks.data.splits import draw_validation
from distilbert_tasks.data.task_data import TaskData
from distilbert_tasks.task import find_task

__all__ = ["load_data"]


def load_data(
    task: str, train: Any = None, validation: Any = None, test: Any = None, *, options: DataOptions | None = None,
    **changes: Any,
) -> TaskData:  # fmt: skip
    """Load the data of a task.

    Args:
        task: The task, by any of its names.
        train: A file, several, a folder, a pattern such as "data/*.csv", a data set of the hub as "org/name",
            "org/name:config" or "org/name:config:split", a `datasets.Dataset`, a mapping of columns, or a list of rows.
            A folder or hub data set that has other splits too gives them, unless they are named.
        validation: As `train`; where it is None, a part of the training set becomes it.
        test: As `train`.
        options: How it is read; None for the defaults.
        **changes: Fields of `DataOptions`, by name, that differ from `options`.

    Returns:
        The splits in the columns of the task: `text`, `text_pair` where texts are pairs, and `label`; `tokens` and
        `tags`; `id`, `question`, `context` and `answers`; `prompt`, `choices` and `label`; or `text`.

    Raises:
        InputError: A file or a column is not there, or a row has what the task cannot use; the message says where.
        HubError: A data set cannot be had from the hub.
    """
    name, options = find_task(task).name, replace(options or DataOptions(), **changes)
    requested = {
        split: source for split, source in zip(SPLITS, (train, validation, test), strict=True) if source is not None
    }
    if not requested:
        raise InputError("no data was given; name a file or a data set as train, validation or test")
    notes: list[str] = []
    sources = open_sources(requested, options, notes)
    readers = [read_split(name, split, sources[split], options, notes) for split in SPLITS if split in sources]
    splits = {one.name: one for one in readers if one is not None}
    data, labels, problem_type = _with_labels(name, splits, options, notes)
    if "train" in data and "validation" not in data and options.validation_share:
        data |= _train_and_validation(data["train"], name, options, notes)
    train, validation, test = (data.get(split) for split in SPLITS)
    return TaskData(train, validation, test, labels, problem_type, tuple(notes))


def _with_labels(
    task: str, splits: Mapping[str, SplitReader], options: DataOptions, notes: list[str]
) -> tuple[dict[str, Any], tuple[str, ...] | None, str | None]:
    """Return the splits as data sets with ids for labels, the names of labels, and the problem type."""
    import datasets
    import pyarrow as pa

    labeled = {name: split.labels for name, split in splits.items() if split.labels.values is not None}
    ids: dict[str, list[Any]] = {}
    names, problem_type = None, None
    if labeled:
        choices = {name: split.choices for name, split in splits.items()}
        ids, names, problem_type = resolve_labels(task, labeled, choices, options, notes)
    data = {}
    for name, split in splits.items():
        table = split.table.table()
        if name in ids:
            table = table.append_column(LABEL_COLUMNS[task], pa.array(ids[name]))
        data[name] = datasets.Dataset(datasets.table.InMemoryTable(table))
    return data, names, problem_type


def _rows_with_text(train: Any) -> NDArray[np.int64]:
    """Return the rows whose text is not blank: of the others nothing can be measured."""
    import pyarrow.compute as pc

    trimmed = pc.utf8_length(pc.utf8_trim_whitespace(train.data.column("text")))
    return np.flatnonzero(trimmed.to_numpy())


def _train_and_validation(train: Any, task: str, options: DataOptions, notes: list[str]) -> dict[str, Any]:
    """Draw a validation set from the training set; questions about one context stay together."""
    by_label = task in ("text-classification", "multiple-choice") and "label" in train.features
    # the table's own columns: those of a data set are slow to go through one by one
    labels = train.data.column("label").to_pylist() if by_label else None
    groups = train.data.column("context").to_pylist() if task == "question-answering" else None
    is_number = labels is not None and isinstance(labels[0], float)
    drawable = _rows_with_text(train) if task == "fill-mask" else None
    rows, drawn = draw_validation(
        len(train), options.validation_share, options.seed, None if is_number else labels, groups, drawable
    )
    if not len(drawn):
        notes.append("There is no validation set: the training set is too small to draw one from.")
        return {}
    notes.append(
        f"{len(drawn)} of the {len(train)} rows of the training set, drawn with seed {options.seed}, are the "
        "validation set, as none was given."
    )
    return {"train": train.select(rows), "validation": train.select(drawn)}
