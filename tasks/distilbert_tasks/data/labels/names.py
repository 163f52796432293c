"""Names of labels, and the ids that stand for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.labels.split import Split

__all__ = ["Names", "label_names", "sorted_names"]

Names = tuple[str, ...]

SHOWN = 10
"""How many unknown labels an error names."""


def label_names(splits: Mapping[str, Split], requested: Sequence[str] | None, each: Any) -> Names:
    """Return the names of labels in the order of their ids: as given, as the data's type has them, or sorted.

    Args:
        splits: The splits, the first of which the names are from, which is the training set where there is one.
        requested: The names that the user gives.
        each: Returns all labels of a split's values, one by one.

    Raises:
        InputError: Another split has a label that is not among them, or two have one name.
    """
    first_name, first = next(iter(splits.items()))
    names = tuple(str(name).strip() for name in requested or first.declared or sorted_names(each(first.values)))
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError(f"two labels are called {repeated!r}; give each a name of its own")
    if requested is not None and _are_ids(splits, names, each):
        return names
    for name, split in splits.items():
        unknown = [label for label in sorted_names(each(split.values)) if label not in names]
        if unknown:
            raise InputError(_unknown(name, split, unknown, names if requested is not None else first_name, each))
    return names


def ids_of(splits: Mapping[str, Split], names: Names, each: Any) -> dict[str, int]:
    """Return the id of each label as it is written, which may be the id itself where names are given."""
    by_name = {name: number for number, name in enumerate(names)}
    by_number = {str(number): number for number in range(len(names))}
    return by_number if _are_ids(splits, names, each) else by_name


def sorted_names(values: Iterable[Any]) -> list[str]:
    """Return distinct labels, sorted: numbers by value, else as text."""
    names = {str(value) for value in values}
    try:
        numbers = {name: float(name) for name in names}
    except ValueError:
        return sorted(names)
    if any(number != number for number in numbers.values()):  # "nan" is below and above no number
        return sorted(names)
    return sorted(names, key=lambda name: (numbers[name], name))


def _are_ids(splits: Mapping[str, Split], names: Names, each: Any) -> bool:
    """Return whether labels are class ids 0, 1, … of names that are words."""
    written = {str(label) for split in splits.values() for label in each(split.values)}
    return not written & set(names) and written <= set(map(str, range(len(names))))


def _unknown(name: str, split: Split, unknown: list[str], known: Names | str, each: Any) -> str:
    """Return what is to be said of labels that are not among those given, or not in the split of that name."""
    rows = enumerate(split.values or ())
    row = next(row for row, value in rows if any(str(label) in unknown for label in each([value])))
    subject = f"{split.where(row)}: the {name} set has labels that"
    if isinstance(known, str):
        advice = "leave these rows out, or name all labels with labels=[…] (--labels)"
        return f"{subject} the {known} set lacks: {_listed(unknown)}; {advice}"
    advice = "leave these rows out, or give labels=[…] (--labels) that has them"
    return f"{subject} are none of {_listed(known)}: {_listed(unknown)}; {advice}"


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels[:SHOWN])) + (", …" if len(labels) > SHOWN else "")
