"""Truncation: which tokens of which text stand in which row, and the windows of texts too long for one row.

`plan_rows` decides for calling the tokenizer, `truncate_ids` for `truncate_sequences` and `prepare_for_model`. All of
it is arithmetic on lengths. `plan_rows` follows `truncate_encodings` and `Encoding.truncate` of the `tokenizers`
library, which transformers' fast tokenizers use.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from distilbert_common.errors import TokenizerError

__all__ = ["TRUNCATION_STRATEGIES", "Row", "Truncation", "plan_rows", "truncate_ids"]

_LOGGER = logging.getLogger(__name__)

TRUNCATION_STRATEGIES = {
    True: "longest_first",
    "longest_first": "longest_first",
    "only_first": "only_first",
    "only_second": "only_second",
    False: None,
    None: None,
    "do_not_truncate": None,
}
"""The values of `truncation`."""


@dataclass(frozen=True)
class Truncation:
    """How texts that are too long are cut.

    Args:
        strategy: "longest_first", "only_first", "only_second", or None for no truncation.
        max_length: The longest row, special tokens included.
        stride: How many tokens a row shares with the one before it, where overflow goes into further rows.
        side: Which end is cut off.
    """

    strategy: str | None
    max_length: int
    stride: int
    side: str


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
        overflow: Whether further rows hold what is cut off.

    Returns:
        The rows, those of one sample one after the other.

    Raises:
        TokenizerError: A sample cannot be cut as asked for.
    """
    samples = [_lengths(length, None if second is None else second[index]) for index, length in enumerate(first)]
    if truncation.strategy is None:
        return [Row(sample, *_uncut(lengths)) for sample, lengths in enumerate(samples)]
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
    budget = f"max_length={truncation.max_length} leaves {room} tokens beside {specials} special tokens"
    if room < needed:
        raise TokenizerError(f"{budget}, but at least {needed} are needed; raise max_length")
    if truncation.stride and truncation.stride >= room:
        raise TokenizerError(f"{budget}; stride={truncation.stride} must be smaller than that")


def _rows_of_sample(
    sample: int, lengths: tuple[int, ...], room: int, truncation: Truncation, overflow: bool
) -> list[Row]:
    if sum(lengths) <= room:
        return [Row(sample, *_uncut(lengths))]
    sizes = _sizes(sample, lengths, room, truncation)
    parts = [_windows(length, size, truncation) for length, size in zip(lengths, sizes, strict=True)]
    if len(parts) == 1:
        rows = [Row(sample, part, None) for part in parts[0]]
    else:  # the library's order: the later parts of the first text, each with every part of the second, come first
        firsts, seconds = parts
        pairs = [(firsts[0], seconds[0]), *product(firsts[1:], seconds), *product(firsts[:1], seconds[1:])]
        rows = [Row(sample, *pair) for pair in pairs]
    return rows if overflow else rows[:1]


def _uncut(lengths: tuple[int, ...]) -> tuple[slice, slice | None]:
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
    """Share the room of a pair: the shorter text is not cut if it takes up no more than half."""
    shorter = min(first, second)
    sizes = (shorter, room - shorter) if shorter <= room - shorter else (room // 2, room - room // 2)
    return sizes if first <= second else (sizes[1], sizes[0])


def _windows(length: int, size: int, truncation: Truncation) -> list[slice]:
    """Cover a text with windows of one size that overlap by the stride, beginning at the end that truncation leaves."""
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


def truncate_ids(
    ids: list[int], pair_ids: list[int] | None, excess: int, strategy: str | None, stride: int, side: str
) -> tuple[list[int], list[int] | None, list[int]]:
    """Take tokens away from a text, or from a pair of texts; `PreparationMixin.truncate_sequences` is its interface.

    Args:
        ids: The ids of the text.
        pair_ids: The ids of the second text.
        excess: How many tokens to take away.
        strategy: "longest_first", "only_first", "only_second" or None.
        stride: How many tokens that stay are returned again with those taken away.
        side: Which end is cut off.

    Returns:
        What is left of both texts, and the tokens taken away with `stride` more.
    """
    if excess <= 0 or strategy is None or (strategy == "only_second" and pair_ids is None):
        return ids, pair_ids, []
    if strategy == "longest_first" and pair_ids is not None:
        from_first, from_second = _shares(len(ids), len(pair_ids), excess)
        return _shortened(ids, from_first, side), _shortened(pair_ids, from_second, side), []
    target = pair_ids if strategy == "only_second" and pair_ids is not None else ids
    if len(target) <= excess:
        _LOGGER.error(
            "%d tokens are to be taken away from a text of %d tokens (truncation_strategy=%r): nothing was; use "
            "'longest_first' or raise max_length",
            excess, len(target), strategy,
        )  # fmt: skip
        return ids, pair_ids, []
    window = min(len(target), stride + excess)
    overflow = target[:window] if side == "left" else target[-window:]
    shorter = _shortened(target, excess, side)
    return (ids, shorter, overflow) if target is pair_ids else (shorter, pair_ids, overflow)


def _shortened(ids: list[int], count: int, side: str) -> list[int]:
    return ids[count:] if side == "left" else ids[: max(len(ids) - count, 0)]


def _shares(first: int, second: int, count: int) -> tuple[int, int]:
    """Return how many tokens each of a pair loses: the longer until both are equal, then both in turn."""
    from_longer = min(abs(first - second), count)
    from_both = count - from_longer
    if first > second:
        return from_longer + from_both // 2, from_both - from_both // 2
    return from_both // 2, from_longer + from_both - from_both // 2
