"""The padding and truncation arguments of a call, read, checked and given their defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from distilbert_common.errors import TokenizerError

PADDING_STRATEGIES = {
    True: "longest",
    "longest": "longest",
    "max_length": "max_length",
    False: None,
    None: None,
    "do_not_pad": None,
}
"""The values of `padding`."""

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

SIDES = {"right": "right", "left": "left"}
"""The values of `padding_side` and `truncation_side`."""


@dataclass(frozen=True)
class Padding:
    """How rows are brought to one length.

    Args:
        strategy: "longest", "max_length", or None for no padding.
        max_length: The length for "max_length".
        multiple: The length is raised to a multiple of this.
        side: Where the padding goes.
    """

    strategy: str | None
    max_length: int
    multiple: int
    side: str

    def width(self, lengths: Sequence[int]) -> int | None:
        """Return the length to pad to, given the lengths of the rows; None for no padding."""
        if self.strategy is None:
            return None
        width = self.max_length if self.strategy == "max_length" else max(lengths, default=0)
        return -(-width // self.multiple) * self.multiple


@dataclass(frozen=True)
class Truncation:
    """How texts that are too long are cut.

    Args:
        strategy: "longest_first", "only_first", "only_second", or None for no truncation.
        max_length: The longest row, special tokens included.
        stride: How many tokens a row shares with the one before it, where the rest is kept too.
        side: Which end is cut off.
    """

    strategy: str | None
    max_length: int
    stride: int
    side: str


def read_padding(
    padding: Any, max_length: int | None, pad_to_multiple_of: int | None, side: str, model_max_length: int
) -> Padding:
    """Read the arguments that concern padding.

    Raises:
        TokenizerError: A value is none of those allowed.
    """
    return Padding(
        choose("padding", padding, PADDING_STRATEGIES),
        _count("max_length", max_length, model_max_length),
        _count("pad_to_multiple_of", pad_to_multiple_of, 1),
        choose("padding_side", side, SIDES),
    )


def read_truncation(
    truncation: Any, max_length: int | None, stride: int, side: str, model_max_length: int
) -> Truncation:
    """Read the arguments that concern truncation.

    Raises:
        TokenizerError: A value is none of those allowed.
    """
    return Truncation(
        choose("truncation", truncation, TRUNCATION_STRATEGIES),
        _count("max_length", max_length, model_max_length),
        _count("stride", stride, 0, least=0),
        choose("truncation_side", side, SIDES),
    )


def check_agreement(padding: Padding, truncation: Truncation) -> None:
    """Require that a row that was cut to `max_length` can be padded to the multiple that was asked for.

    Raises:
        TokenizerError: `max_length` is not a multiple of `pad_to_multiple_of`.
    """
    if padding.strategy and truncation.strategy and truncation.max_length % padding.multiple:
        raise TokenizerError(
            f"max_length is {truncation.max_length}, not a multiple of pad_to_multiple_of={padding.multiple}, so that "
            "truncated rows would be padded beyond max_length; change one of the two"
        )


def choose(name: str, value: Any, choices: dict[Any, Any]) -> Any:
    """Return what an argument's value stands for.

    Raises:
        TokenizerError: The value is not among the choices.
    """
    if isinstance(value, Enum):
        value = value.value  # transformers' PaddingStrategy and TruncationStrategy
    if isinstance(value, (str, bool, type(None))) and value in choices:
        return choices[value]
    raise TokenizerError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}")


def _count(name: str, value: Any, default: int, least: int = 1) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise TokenizerError(f"{name} is {value!r}; expected a whole number of at least {least}")
    return int(value)
