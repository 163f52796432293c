"""The values of a configuration's fields: as JSON has them, without secrets, and parsed from text."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Number
from typing import Any

from distilbert_common.credentials import credential_names, without_credentials
from distilbert_common.errors import ConfigError
from distilbert_common.loading_options import is_loading_option, sole_value
from distilbert_common.quantization import is_recipe
from distilbert_common.user_warnings import warn_user

__all__ = ["int_keys", "label_ids", "parsed", "plain", "storable", "warn_of_secrets"]

_TABLES = ("id2label", "label2id")  # a label may be called "password"


def storable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields without loading options and without secrets, at any depth; how weights lie in 8 bits is kept."""
    model_fields = {name: value for name, value in fields.items() if not is_loading_option(name) or is_recipe(value)}
    return without_credentials(model_fields, skip=_TABLES)


def warn_of_secrets(fields: Mapping[str, Any], source: str) -> None:
    """Warn of fields that hold a secret, by their names: their values are shown nowhere."""
    unused = (None, False, True, "")
    names = [name for name in credential_names(fields, skip=_TABLES) if fields[name] not in unused]
    if names:
        warn_user(
            f"{source} has a secret under {', '.join(names)}, which is not kept; take it out, and revoke it if others "
            "could read it"
        )


def plain(name: str, value: Any) -> Any:
    """Return a value as JSON has it: a dtype by its name, a number of NumPy as a number."""
    if name in ("dtype", "attn_implementation"):
        value = sole_value(name, value)
    if name == "dtype" and value is not None and not isinstance(value, str):
        value = getattr(value, "name", None) or getattr(value, "__name__", None) or str(value)
    if name == "dtype" and isinstance(value, str):
        return value.removeprefix("torch.")
    if isinstance(value, Number) and not isinstance(value, (int, float, complex)) and hasattr(value, "item"):
        return value.item()
    return value


def label_ids(label2id: Mapping[str, Any]) -> dict[str, int]:
    """Return the ids of labels as whole numbers; some files have them as text."""
    try:
        return {label: int(i) for label, i in label2id.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"config field 'label2id' is {label2id!r}; its values must be whole numbers") from error


def int_keys(field: str, mapping: Mapping[Any, Any]) -> dict[int, Any]:
    """Return the mapping with the whole-number keys that JSON turned into text."""
    try:
        return {int(key): value for key, value in mapping.items()}
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"config field {field!r} is {mapping!r}; its keys must be whole numbers") from error


def parsed(name: str, text: str, present: Any) -> Any:
    """Return text as a value of the type that a field has.

    Args:
        name: The field, for the message.
        text: Such as "3" or "true".
        present: The field's present value.

    Raises:
        ConfigError: The text is no such value.
    """
    if isinstance(present, bool):
        if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
            raise ConfigError(f"config field {name!r} is {text!r}; it must be true or false")
        return text.lower() in ("true", "1", "yes")
    try:
        return type(present)(text) if isinstance(present, (int, float)) else text
    except ValueError as error:
        raise ConfigError(f"config field {name!r} is {text!r}; it must be a {type(present).__name__}") from error
