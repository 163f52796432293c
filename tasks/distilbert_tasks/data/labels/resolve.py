"""From labels as they are written to ids, in every split alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.labels.choices import choice_ids
from distilbert_tasks.data.labels.kinds import bits, is_onehot, numbers, problem_type_of
from distilbert_tasks.data.labels.names import Names, ids_of, label_names
from distilbert_tasks.data.labels.split import Split
from distilbert_tasks.data.options import DataOptions

__all__ = ["Resolved", "Split", "resolve_labels"]

Resolved = dict[str, list[Any]]
"""By split, what takes the place of its labels."""


def resolve_labels(
    task: str, splits: Mapping[str, Split], choices: Mapping[str, int], options: DataOptions, notes: list[str]
) -> tuple[Resolved, Names | None, str | None]:
    """Return the ids of labels by split, the names of labels, and the problem type.

    Args:
        task: The name of the task.
        splits: The labels as they are written, of splits that have some.
        choices: By split, how many choices each row has, of multiple choice.
        options: Labels and problem type, where the user says them.
        notes: Where sentences for the user are added.

    Raises:
        InputError: Labels cannot be used; the message says which, and where.
    """
    if task == "multiple-choice":
        return choice_ids(splits, choices, notes), None, None
    if task == "token-classification":
        names = label_names(splits, options.labels, chain.from_iterable)
        if len(names) == 1 and "train" in splits:
            raise InputError(f"all words have the tag {names[0]!r}; give data with at least two tags")
        ids = ids_of(splits, names, chain.from_iterable)
        encoded = {
            name: [[ids[str(tag)] for tag in tags] for tags in split.values or ()] for name, split in splits.items()
        }
        return encoded, names, None
    return _of_texts(splits, options, notes)


def _of_texts(
    splits: Mapping[str, Split], options: DataOptions, notes: list[str]
) -> tuple[Resolved, Names | None, str | None]:
    first = next(iter(splits.values()))
    problem_type = options.problem_type or problem_type_of(first, is_named=options.labels is not None)
    if options.problem_type is None:
        notes.append(
            f"Labels are taken for {problem_type.replace('_', ' ')}; problem_type= (--problem-type) says otherwise."
        )
    if problem_type == "regression":
        encoded = {name: numbers(split) for name, split in splits.items()}
        return encoded, _names_of_numbers(first, encoded), problem_type
    if problem_type == "multi_label_classification":
        bits_by_split, names = _multi_label(splits, options, notes)
        return bits_by_split, names, problem_type
    _check_single(splits)
    names = label_names(splits, options.labels, iter)
    if len(names) < 2 and "train" in splits:
        advice = "" if options.max_rows is None else f"; only the first {options.max_rows} rows were read (max_rows)"
        raise InputError(f"all rows have the label {names[0]!r}; classification needs at least two labels{advice}")
    notes.extend(_note_on_case(names))
    ids = ids_of(splits, names, iter)
    return (
        {name: [ids[str(value)] for value in split.values or ()] for name, split in splits.items()},
        names,
        problem_type,
    )


def _note_on_case(names: Names) -> list[str]:
    """Return a sentence on labels that differ in case alone, as True and TRUE."""
    folded = [name.casefold() for name in names]
    alike = [name for name, one in zip(names, folded, strict=True) if folded.count(one) > 1]
    return [f"The labels {', '.join(map(repr, alike))} differ in case alone, and are taken for different ones."
            ] if alike else []  # fmt: skip


def _names_of_numbers(first: Split, encoded: Resolved) -> Names | None:
    """Return the name of each number, where rows have several."""
    widths = {name: len(rows[0]) for name, rows in encoded.items() if rows and isinstance(rows[0], list)}
    if len(set(widths.values())) > 1 or (widths and len(widths) < len(encoded)):
        raise InputError("the splits differ in how many numbers a row has; give as many in each")
    if not widths:
        return None
    return first.columns if len(first.columns) > 1 else tuple(f"LABEL_{i}" for i in range(max(widths.values())))


def _multi_label(splits: Mapping[str, Split], options: DataOptions, notes: list[str]) -> tuple[Resolved, Names]:
    """Return a 0 or a 1 for each label, and the names of the labels."""
    first = next(iter(splits.values()))
    for split in splits.values():
        for row, value in enumerate(split.values or ()):
            if not isinstance(value, (list, tuple)) or any(isinstance(one, (list, dict)) for one in value):
                raise InputError(f"{split.where(row)}: {value!r} is not a list of labels, or of zeros and ones")
    if not first.declared and is_onehot(first):
        return _from_bits(splits, options, notes)
    names = label_names(splits, options.labels, chain.from_iterable)
    if not names:
        raise InputError("no row has a label; give rows with some, or name the labels with labels=[…]")
    ids = ids_of(splits, names, chain.from_iterable)
    return {name: [_bits_of((ids[str(label)] for label in value), len(names)) for value in split.values or ()]
            for name, split in splits.items()}, names  # fmt: skip


def _from_bits(splits: Mapping[str, Split], options: DataOptions, notes: list[str]) -> tuple[Resolved, Names]:
    first = next(iter(splits.values()))
    width = len((first.values or [()])[0])
    columns = first.columns if len(first.columns) > 1 else tuple(f"LABEL_{i}" for i in range(width))
    names = tuple(options.labels or columns)
    order = _order(columns, names, notes) if len(first.columns) > 1 else None
    encoded = {}
    for name, split in splits.items():
        for row, value in enumerate(split.values or ()):
            if len(value) != (len(names) if order is None else len(columns)):
                raise InputError(f"{split.where(row)}: {len(value)} zeros and ones for {len(names)} labels")
        rows = [bits(value, split.where(row)) for row, value in enumerate(split.values or ())]
        encoded[name] = rows if order is None else [[0 if i is None else row[i] for i in order] for row in rows]
    return encoded, names


def _order(columns: Names, names: Names, notes: list[str]) -> list[int | None] | None:
    """Return the column of each label, None for a label without one; None where columns have other names than labels.

    Raises:
        InputError: Some columns are called as labels are, and some are not.
    """
    unknown = [column for column in columns if column not in names]
    if len(unknown) == len(columns):
        return None
    if unknown:
        raise InputError(f"the column {unknown[0]!r} is none of the labels {', '.join(names)}; leave it out")
    if absent := [name for name in names if name not in columns]:
        notes.append(f"There is no column for {', '.join(absent)}, which no row has then.")
    return [columns.index(name) if name in columns else None for name in names]


def _bits_of(ids: Iterable[int], count: int) -> list[int]:
    present = set(ids)
    return [int(number in present) for number in range(count)]


def _check_single(splits: Mapping[str, Split]) -> None:
    for split in splits.values():
        for row, value in enumerate(split.values or ()):
            if isinstance(value, (list, tuple, dict)):
                raise InputError(
                    f"{split.where(row)}: {value!r} is not one label; give "
                    "problem_type='multi_label_classification' for rows with several"
                )
