"""What a pipeline is called with: one example, a list of them, or a stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from distilbert_common.errors import InputError

__all__ = ["Form", "read_examples", "require_text"]


class Form(Enum):
    """How examples came, and results go: one, a list, or one after the other as they are asked for."""

    SINGLE = "single"
    LIST = "list"
    STREAM = "stream"


def read_examples(inputs: Any) -> tuple[Iterable[Any], Form]:
    """Tell one example from several.

    Args:
        inputs: A text or a dict is one example; a list, a tuple, a column or whatever has a length and is walked
            through is a list; a generator, an iterable data set and what is only indexed is a stream.

    Raises:
        InputError: It is none of these.
    """
    if isinstance(inputs, (str, Mapping)):
        return [inputs], Form.SINGLE
    if isinstance(inputs, (bytes, bytearray)) or not (hasattr(inputs, "__iter__") or hasattr(inputs, "__getitem__")):
        raise InputError(
            f"the input is a {type(inputs).__name__}; expected a text, a dict, a list of them or a generator"
        )
    sized = hasattr(inputs, "__len__") and hasattr(inputs, "__iter__")
    return inputs, Form.LIST if sized else Form.STREAM


def require_text(value: Any, name: str) -> str:
    """Require a text.

    Args:
        value: What was given.
        name: What it is, for the message.

    Raises:
        InputError: It is something else, as None or a number.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r}, a {type(value).__name__}; expected a text")
    return value
