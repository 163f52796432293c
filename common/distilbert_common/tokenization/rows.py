"""Which tokens of which text stand in which row: truncation, and the windows of texts too long for one row.

Everything here is arithmetic on lengths. It follows `truncate_encodings` and `Encoding.truncate` of the `tokenizers`
library, on which transformers' fast tokenizers rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.options import Truncation


class Row(NamedTuple):
    """A row of the output: the number of its sample, and the part of each text that is in it."""

    sample: int
    first: slice
    second: slice | None

    @property
    def length(self) -> int:
        """The number of tokens, without special tokens."""
        second = 0 if self.second is None else self.second.stop - self.second.start
        return int(self.first.stop - self.first.start + second)


def plan_rows(
    first: Sequence[int],
    second: Sequence[int | None] | None,
    truncation: Truncation,
    specials: tuple[int, int],
    overflow: bool,
) -> list[Row]:
    """Decide which tokens stand in which row.

    Args:
        first: Number of tokens of each sample's first text.
        second: The same of its second text, None for a sample without one; None where no sample is a pair.
        truncation: How long texts are cut.
        specials: Number of special tokens that a row will get, with one text and with a pair.
        overflow: Keep what is cut off, in further rows.

    Returns:
        The rows, those of one sample one after the other.

    Raises:
        TokenizerError: A sample cannot be cut as asked for.
    """
    samples = [_lengths(length, None if second is None else second[index]) for index, length in enumerate(first)]
    if truncation.strategy is None:
        return [Row(sample, *_whole(lengths)) for sample, lengths in enumerate(samples)]
    for texts in sorted(set(map(len, samples)) or {1}):
        _check_room(truncation.max_length - specials[texts - 1], specials[texts - 1], truncation, texts * overflow)
    rows: list[Row] = []
    for sample, lengths in enumerate(samples):
        room = truncation.max_length - specials[len(lengths) - 1]
        rows += _rows_of_sample(sample, lengths, room, truncation, overflow)
    return rows


def _lengths(first: int, second: int | None) -> tuple[int, ...]:
    return (first,) if second is None else (first, second)


def _check_room(room: int, specials: int, truncation: Truncation, needed: int) -> None:
    given = f"max_length={truncation.max_length} leaves {room} tokens beside {specials} special tokens"
    if room < needed:
        raise TokenizerError(f"{given}, but at least {needed} are needed; raise max_length")
    if truncation.stride and truncation.stride >= room:
        raise TokenizerError(f"{given}; stride={truncation.stride} must be smaller than that")


def _rows_of_sample(
    sample: int, lengths: tuple[int, ...], room: int, truncation: Truncation, overflow: bool
) -> list[Row]:
    if sum(lengths) <= room:
        return [Row(sample, *_whole(lengths))]
    sizes = _sizes(sample, lengths, room, truncation)
    parts = [_windows(length, size, truncation) for length, size in zip(lengths, sizes, strict=True)]
    if len(parts) == 1:
        rows = [Row(sample, part, None) for part in parts[0]]
    else:  # the library's order: the later parts of the first text, each with every part of the second, come first
        firsts, seconds = parts
        pairs = [(firsts[0], seconds[0]), *product(firsts[1:], seconds), *product(firsts[:1], seconds[1:])]
        rows = [Row(sample, *pair) for pair in pairs]
    return rows if overflow else rows[:1]


def _whole(lengths: tuple[int, ...]) -> tuple[slice, slice | None]:
    return slice(0, lengths[0]), slice(0, lengths[1]) if len(lengths) == 2 else None


def _sizes(sample: int, lengths: tuple[int, ...], room: int, truncation: Truncation) -> tuple[int, ...]:
    """Return how many tokens of each text a row has room for."""
    if truncation.strategy == "longest_first":
        return (room,) if len(lengths) == 1 else _longest_first(lengths[0], lengths[1], room)
    target = 0 if truncation.strategy == "only_first" else 1
    excess = sum(lengths) - room
    if target >= len(lengths) or lengths[target] <= excess:
        raise TokenizerError(
            f"truncation={truncation.strategy!r} cannot bring sample {sample}, with texts of "
            f"{' and '.join(map(str, lengths))} tokens, to max_length={truncation.max_length}; use 'longest_first' or "
            "raise max_length"
        )
    return tuple(length - excess if index == target else length for index, length in enumerate(lengths))


def _longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Share the room of a pair: the shorter text stays whole if it takes up no more than half."""
    shorter = min(first, second)
    sizes = (shorter, room - shorter) if shorter <= room - shorter else (room // 2, room - room // 2)
    return sizes if first <= second else (sizes[1], sizes[0])


def _windows(length: int, size: int, truncation: Truncation) -> list[slice]:
    """Cover a text with windows of one size that overlap by the stride, beginning at the end that is kept."""
    if length <= size:
        return [slice(0, length)]
    if size <= truncation.stride:
        if size == truncation.stride == 0:
            return [slice(0, 0)]
        raise TokenizerError(
            f"stride={truncation.stride} must be smaller than the {size} tokens that a row has room for of one of the "
            "two texts; lower stride or raise max_length"
        )
    step = size - truncation.stride
    starts = range(0, length - size + step, step)
    windows = [slice(start, min(start + size, length)) for start in starts]
    if truncation.side == "right":
        return windows
    return [slice(length - window.stop, length - window.start) for window in windows]
