"""The part of JSON Schema that describes what requests hold: the same description checks them and is published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distilbert_common.errors import InputError

__all__ = ["Schema", "check"]

Schema = Mapping[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_NAMES = {str: "text", bool: "true or false", int: "number", float: "number", list: "list", dict: "object"}


def check(value: Any, schema: Schema, name: str) -> None:
    """Require that a value is as a schema says: `type`, `enum`, `minimum`, `maximum`, `items`, `minItems`, `maxItems`.

    Args:
        value: What `json.loads` returned.
        schema: The schema; "type" may be a list of types.
        name: What the value is called in the message.

    Raises:
        InputError: It is not.
    """
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if not any(_is_of(value, kind) for kind in types):
        raise InputError(f"{name} is {_shown(value)}; expected {' or '.join(_words(types))}")
    if "enum" in schema and value not in schema["enum"]:
        raise InputError(f"{name} is {_shown(value)}; expected one of {', '.join(map(str, schema['enum']))}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_range(value, schema, name)
    if isinstance(value, list):
        _check_list(value, schema, name)


def _check_range(value: float, schema: Schema, name: str) -> None:
    low, high = schema.get("minimum"), schema.get("maximum")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = [f"at least {low}"] * (low is not None) + [f"at most {high}"] * (high is not None)
        raise InputError(f"{name} is {_shown(value)}; expected {', '.join(bounds)}")


def _check_list(value: list[Any], schema: Schema, name: str) -> None:
    low, high = schema.get("minItems", 0), schema.get("maxItems")
    if len(value) < low or (high is not None and len(value) > high):
        most = "" if high is None else f", at most {high}"
        raise InputError(f"{name} has {len(value)} values; expected at least {low}{most}")
    for number, one in enumerate(value):
        check(one, schema["items"], f"{name}[{number}]")


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _words(types: list[str]) -> list[str]:
    words = {"string": "a text", "integer": "a whole number", "boolean": "true or false", "array": "a list"}
    return [words.get(kind, f"a {kind}" if kind != "null" else "null") for kind in types]


def _shown(value: Any) -> str:
    """Return a value that is short, and of others what they are: texts of requests belong into no log."""
    if value is None or isinstance(value, (bool, int, float)):
        return str(value)[:40]
    size = len(value)
    return f"a {_NAMES[type(value)]} of {size} {'characters' if isinstance(value, str) else 'values'}"
