"""Which choice is right: written as a number from 0 or from 1, or as a letter."""

from __future__ import annotations

from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.labels.split import Split

__all__ = ["choice_ids"]


def choice_ids(split: Split, choices: int, notes: list[str]) -> list[int]:
    """Return the number of the right choice of each row, from 0.

    Args:
        split: The labels as they are written.
        choices: How many choices each row has.
        notes: Where a sentence for the user is added if numbers are from 1.

    Raises:
        InputError: A label is none of these, or there is no such choice.
    """
    values = [_number(value) for value in split.values or ()]
    is_lettered = any(str(value).strip().isalpha() for value in split.values or ())
    is_from_one = not is_lettered and 0 not in values and choices in values
    if is_from_one:
        notes.append(f"Labels in {split.columns[0]!r} are numbers from 1.")
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
