"""The options of a call, in the order in which transformers' methods take them, and how their values are checked."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Self

import numpy as np

from distilbert_common.errors import TokenizerError

__all__ = ["CALL_ORDER", "ENCODE_ORDER", "PREPARE_ORDER", "SIDES", "CallOptions", "choose", "count_of"]

SIDES = {"right": "right", "left": "left"}
"""The values of `padding_side` and `truncation_side`."""


@dataclass(frozen=True)
class CallOptions:
    """The options of calling a tokenizer; `TokenizerBase.__call__` says what each is."""

    add_special_tokens: bool = True
    padding: Any = False
    truncation: Any = None
    max_length: int | None = None
    stride: int = 0
    is_split_into_words: bool = False
    pad_to_multiple_of: int | None = None
    padding_side: str | None = None
    return_tensors: Any = None
    return_token_type_ids: bool | None = None
    return_attention_mask: bool | None = None
    return_overflowing_tokens: bool = False
    return_special_tokens_mask: bool = False
    return_offsets_mapping: bool = False
    return_length: bool = False
    verbose: bool = True
    split_special_tokens: bool | None = None

    @classmethod
    def read(cls, names: Sequence[str], positional: Sequence[Any], keywords: Mapping[str, Any]) -> Self:
        """Make the options of arguments.

        Args:
            names: The names of the positional arguments.
            positional: Arguments without a name.
            keywords: Arguments by name, old names too.

        Raises:
            TypeError: There is no such argument, or it was passed twice.
        """
        if len(positional) > len(names):
            raise TypeError(f"{len(positional)} positional options were given; there are {len(names)}")
        by_position = dict(zip(names, positional, strict=False))
        if twice := sorted(by_position.keys() & keywords):
            raise TypeError(f"{', '.join(twice)} was given by position and by name")
        options = _without_old_names({**by_position, **keywords})
        known = [field.name for field in fields(cls)]
        if unknown := sorted(options.keys() - set(known)):
            raise TypeError(f"a call has no option {', '.join(unknown)}; it has {', '.join(known)}")
        return cls(**options)


CALL_ORDER = tuple(field.name for field in fields(CallOptions))[:-1]
"""The options of `encode_plus` and `batch_encode_plus` by position."""

PREPARE_ORDER = tuple(name for name in CALL_ORDER if name != "is_split_into_words")
"""The options of `prepare_for_model` by position."""

ENCODE_ORDER = (*CALL_ORDER[:5], "padding_side", "return_tensors")
"""The options of `encode` by position."""


def choose(name: str, value: Any, choices: Mapping[Any, Any]) -> Any:
    """Return what an argument's value stands for.

    Raises:
        TokenizerError: The value is not among the choices.
    """
    if isinstance(value, Enum):
        value = value.value  # transformers' PaddingStrategy and TruncationStrategy
    if isinstance(value, (str, bool, type(None))) and value in choices:
        return choices[value]
    raise TokenizerError(f"{name} is {value!r}; expected one of {', '.join(map(repr, choices))}")


def count_of(name: str, value: Any, default: int, least: int = 1) -> int:
    """Return an argument that is a number of tokens; None gives the default.

    Raises:
        TokenizerError: The value is no whole number, or smaller than `least`.
    """
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise TokenizerError(f"{name} is {value!r}; expected a whole number of at least {least}")
    return int(value)


def _without_old_names(options: dict[str, Any]) -> dict[str, Any]:
    """Rename the options that transformers 2 named otherwise."""
    if options.pop("pad_to_max_length", False):
        warnings.warn("pad_to_max_length is deprecated; pass padding='max_length'", FutureWarning, stacklevel=4)
        options["padding"] = options.get("padding") or "max_length"
    if strategy := options.pop("truncation_strategy", None):
        warnings.warn(f"truncation_strategy is deprecated; pass truncation={strategy!r}", FutureWarning, stacklevel=4)
        options["truncation"] = options.get("truncation") or strategy
    return options
