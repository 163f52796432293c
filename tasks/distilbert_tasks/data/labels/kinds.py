"""What kind of labels texts have: one class, several, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.labels.split import Split

__all__ = ["bits", "is_onehot", "numbers", "problem_type_of"]


def problem_type_of(split: Split, is_named: bool = False) -> str:
    """Return the problem type that labels imply.

    Lists are several labels, unless they hold numbers other than 0 and 1. Numbers that are not whole, or are written
    with a point, are regression. Anything else is one label, and so is what has names.

    Args:
        split: The labels as they are written.
        is_named: Whether the names of the labels are known.

    Raises:
        InputError: Some labels are lists and some are not, or most are numbers with a point and some are no numbers.
    """
    values = split.values or []
    lists = [isinstance(value, (list, tuple)) for value in values]
    if any(lists):
        if not all(lists):
            raise InputError(f"{split.where(lists.index(False))}: one label, where other rows have lists of labels")
        flat = [one for value in values for one in value]
        is_real = bool(flat) and all(_is_real(one) for one in flat) and not all(float(one) in (0, 1) for one in flat)
        return "regression" if is_real else "multi_label_classification"
    if split.declared or is_named:
        return "single_label_classification"
    real = [_is_real(value) for value in values]
    if not any(real):
        return "single_label_classification"
    numeric = [_is_number(value) for value in values]
    if all(numeric):
        return "regression"
    if 2 * sum(real) > len(values):
        row = numeric.index(False)
        raise InputError(
            f"{split.where(row)}: {values[row]!r} is not a number, and most labels are; correct it, or give "
            "problem_type='single_label_classification' if labels are names"
        )
    return "single_label_classification"


def numbers(split: Split) -> list[Any]:
    """Return labels as numbers, or as lists of numbers.

    Raises:
        InputError: One is no number, or lists differ in length.
    """
    values = split.values or []
    width = len(values[0]) if values and isinstance(values[0], (list, tuple)) else None
    for row, value in enumerate(values):
        items = value if isinstance(value, (list, tuple)) else [value]
        if invalid := [one for one in items if not _is_number(one)]:
            raise InputError(f"{split.where(row)}: {invalid[0]!r} is not a number; regression takes numbers")
        if width is not None and len(items) != width:
            raise InputError(f"{split.where(row)}: {len(items)} numbers, and {width} in the first row")
    return [float(value) if width is None else [float(one) for one in value] for value in values]


def is_onehot(split: Split) -> bool:
    """Return whether lists of labels are a 0 or a 1 for each label there is."""
    values = split.values or []
    is_one_length = len({len(value) for value in values}) == 1 and len(values[0]) > 1
    return len(split.columns) > 1 or (is_one_length and all(str(one) in _BITS for value in values for one in value))


def bits(row: Sequence[Any], where: str) -> list[int]:
    """Return a row of zeros and ones.

    Raises:
        InputError: A value is neither.
    """
    for value in row:
        if str(value) not in _BITS:
            raise InputError(f"{where}: {value!r} is neither 0 nor 1, which say whether a row has a label")
    return [_BITS[str(value)] for value in row]


_BITS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "False": 0, "True": 1, "false": 0, "true": 1}


def _is_number(value: Any) -> bool:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    return number == number and abs(number) != float("inf") and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    """Return whether a value is a number that is not written as a whole one."""
    return _is_number(value) and (isinstance(value, float) or (isinstance(value, str) and not _is_int(value)))


def _is_int(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True
