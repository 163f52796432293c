"""A checkpoint of another model or another library, in the names and fields of a DistilBERT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distilbert_conversion.weights.lazy import LazyTensor

__all__ = ["TranslatedCheckpoint"]


@dataclass(frozen=True)
class TranslatedCheckpoint:
    """Tensors by names of one of our dialects, and all else that was translated.

    Attributes:
        fields: The content of a DistilBERT's `config.json`; None where the one beside the weights is just that.
        tensors: By the names of a DistilBERT in the same dialect.
        left_out: Names in the file of what DistilBERT has no place for.
        notes: What was done, in words.
        sidecar_files: The texts of the tokenizer's files by name; None where those beside the weights are just that.
    """

    fields: dict[str, Any] | None
    tensors: Mapping[str, LazyTensor]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sidecar_files: dict[str, str] | None = None
