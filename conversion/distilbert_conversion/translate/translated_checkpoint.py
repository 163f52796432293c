"""What a reader of another model's or another library's files hands on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distilbert_conversion.weights.lazy import LazyTensor


@dataclass(frozen=True)
class Reading:
    """Tensors by names of one of our dialects, and all else that was translated.

    Attributes:
        fields: The content of a DistilBERT's `config.json`; None where the one beside the weights is just that.
        tensors: By the names of a DistilBERT in the same dialect.
        left_out: Names in the file of what DistilBERT has no place for.
        notes: What was done, in words.
        companions: The texts of the tokenizer's files by name; None where those beside the weights are just that.
    """

    fields: dict[str, Any] | None
    tensors: Mapping[str, LazyTensor]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    companions: dict[str, str] | None = None


def as_json(fields: Mapping[str, Any]) -> str:
    """Return the text of a JSON file as transformers writes them."""
    return json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
