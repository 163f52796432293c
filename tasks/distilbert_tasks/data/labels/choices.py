"""Which choice is right: written as a number from 0 or from 1, or as a letter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.labels.split import Split

__all__ = ["choice_ids"]


def choice_ids(splits: Mapping[str, Split], choices: Mapping[str, int], notes: list[str]) -> dict[str, list[int]]:
    """Return, by split, the number of the right choice of each row, from 0.

    Whether numbers are from 1 is told by all splits together, as one of few rows need not have the last choice.

    Args:
        splits: The labels as they are written.
        choices: How many choices each row has, by split.
        notes: Where a sentence for the user is added if numbers are from 1.

    Raises:
        InputError: A label is none of these, or there is no such choice.
    """
    numbers = {name: [_number(value) for value in split.values or ()] for name, split in splits.items()}
    is_lettered = any(str(value).strip().isalpha() for split in splits.values() for value in split.values or ())
    is_from_one = not is_lettered and not any(0 in values for values in numbers.values())
    is_from_one = is_from_one and any(choices[name] in values for name, values in numbers.items())
    if is_from_one:
        notes.append(f"Labels in {next(iter(splits.values())).columns[0]!r} are numbers from 1.")
    return {name: _ids(split, numbers[name], choices[name], is_from_one) for name, split in splits.items()}


def _ids(split: Split, values: list[int | None], choices: int, is_from_one: bool) -> list[int]:
    for row, (number, value) in enumerate(zip(values, (split.values or ()), strict=True)):
        if number is None or not 0 <= number - is_from_one < choices:
            raise InputError(
                f"{split.where(row)}: {value!r} is none of the {choices} choices; write 0 to {choices - 1}, or A to "
                f"{chr(ord('A') + choices - 1)}"
            )
    return [number - is_from_one for number in values if number is not None]


def _number(value: Any) -> int | None:
    """Return the number that a label is, from 0 for a letter; None if it is no label of a choice."""
    text = str(value).strip()
    if len(text) == 1 and text.isascii() and text.isalpha():
        return ord(text.upper()) - ord("A")
    try:
        return int(text)
    except ValueError:
        return None
