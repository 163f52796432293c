"""Tokenized examples: what the model sees of each, and what decoding needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Encoded", "token_lists"]


@dataclass(frozen=True)
class Encoded:
    """One example, tokenized.

    Attributes:
        token_lists: What the model sees of it: one list, or several, as the windows of a long text.
        details: What decoding needs to know of it.
    """

    token_lists: Sequence[Sequence[int]]
    details: Any = None


def token_lists(batch: Mapping[str, Any]) -> list[list[int]]:
    """Return the ids of a tokenizer's rows without padding, which packed rows do not need."""
    rows, masks = batch["input_ids"], batch.get("attention_mask")
    if masks is None or not any(0 in mask for mask in masks):
        return list(rows)
    pairs = zip(rows, masks, strict=True)
    return [[token for token, is_token in zip(row, mask, strict=True) if is_token] for row, mask in pairs]
