"""What the features of all tasks are made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distilbert_common import DistilBertConfig
from distilbert_tasks.features.options import FeatureOptions

__all__ = ["Columns", "Recipe"]

Columns = Mapping[str, Sequence[Any]]
"""Examples, by column."""


@dataclass(frozen=True)
class Recipe:
    """What the features of all tasks are made with.

    Attributes:
        tokenizer: What makes token ids of texts.
        config: That of the model.
        length: The most tokens in a row.
        options: How examples become token lists.
    """

    tokenizer: Any
    config: DistilBertConfig
    length: int
    options: FeatureOptions
