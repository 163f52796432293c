"""Reading and writing the text files beside the weights: JSON objects, and the vocabulary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distilbert_common.errors import CheckpointError
from distilbert_common.files import read_json

__all__ = ["as_json", "read_object", "read_text", "section"]


def read_object(path: Path | None) -> dict[str, Any]:
    """Return the content of a JSON file, nothing where there is none."""
    return {} if path is None else read_json(path)


def section(fields: Mapping[str, Any], name: str = "config") -> dict[str, Any]:
    """Return an object in a JSON object, nothing where it has none of that name."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        CheckpointError: It is not UTF-8, or holds zero bytes.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not UTF-8 text ({error.reason}); get it again") from error
    if "\0" in text:
        raise CheckpointError(f"{path} is not text: it holds zero bytes; get it again")
    return text


def as_json(fields: Mapping[str, Any]) -> str:
    """Return the text of a JSON file as transformers writes them."""
    return json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
