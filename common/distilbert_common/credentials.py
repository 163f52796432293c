"""Secrets among keywords and in JSON objects: recognized by name or by form, so that none is written or shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["REDACTED", "credential_names", "harmless", "is_credential", "redacted", "without_credentials"]

REDACTED = "<redacted>"
"""What stands in a text in the place of a secret."""

_NAME = re.compile(
    r"(use_)?auth(entication|orization)?(_token|_key)?s?|token|pat|sas(_token)?|cookies?"
    r"|(.*_)?(password|passwd|pwd|passphrase|bearer|credentials?|jwt|secrets?|connection_string)"
    r"|(.*_)?(api|access|auth|bearer|client|github|gitlab|hf|hub|hugging_?face|jwt|login|oauth|openai|private|refresh"
    r"|secret|security|session|ssh|wandb)"
    r"(_hub|_api|_access|_auth)*_?(tokens?|keys?|secrets?)(_value|_id)?"
)
_TOKEN = re.compile(r"(?<![A-Za-z0-9_])(hf_|api_org_)[A-Za-z0-9]{16,}")
"""An access token of the hub."""

_USER_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_credential(name: str, value: Any = "") -> bool:
    """Whether a keyword or field is a secret.

    Args:
        name: As "token", "use_auth_token", "api_key", "hubToken", "HF_TOKEN"; not "pad_token" and its kin.
        value: An access token of the hub, and a user in an address, are secrets under any name.
    """
    plain = _CAMEL.sub("_", str(name)).lower().replace("-", "_")
    return _NAME.fullmatch(plain) is not None or (isinstance(value, str) and redacted(value) != value)


def without_credentials(fields: Mapping[str, Any], *, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a JSON object without its secrets, at any depth.

    Inside nested objects a name alone is no proof, as a label may be called "password": there the value must be text.

    Args:
        fields: The object.
        skip: Fields that are taken as they are, such as a table of labels.
    """
    return {
        name: value if name in skip else _scrubbed(value)
        for name, value in fields.items()
        if name in skip or not is_credential(name, value)
    }


def credential_names(fields: Mapping[str, Any], *, skip: tuple[str, ...] = ()) -> list[str]:
    """Return the names of the fields that `without_credentials` takes out or changes, sorted."""
    clean = without_credentials(fields, skip=skip)
    changed = (name for name in clean if clean[name] is not fields[name] and clean[name] != fields[name])
    return sorted({*fields.keys() - clean.keys(), *changed})


def _scrubbed(value: Any) -> Any:
    """Return a nested value without secrets."""
    if isinstance(value, dict):
        return {
            name: _scrubbed(inner)
            for name, inner in value.items()
            if not (isinstance(inner, str) and inner and is_credential(name, inner))
        }
    if isinstance(value, (list, tuple)):
        return type(value)(_scrubbed(inner) for inner in value if not is_credential("", inner))
    return value


def redacted(text: str, *secrets: Any) -> str:
    """Return a text in which secrets are replaced: those named, access tokens of the hub, and users in addresses.

    Args:
        text: Such as the message of an error of another library.
        *secrets: Values that must not be shown; what is no text counts for nothing.
    """
    for secret in secrets:
        if isinstance(secret, str) and secret.strip():
            text = text.replace(secret, REDACTED).replace(secret.strip(), REDACTED)
    return _USER_IN_ADDRESS.sub(REDACTED, _TOKEN.sub(REDACTED, text))


def harmless(error: Exception, *secrets: Any) -> Exception | None:
    """Return an error to raise another one from, or None where its own message shows a secret."""
    return error if redacted(str(error), *secrets) == str(error) else None
