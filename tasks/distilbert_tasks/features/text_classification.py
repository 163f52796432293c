"""Features of text classification: a text or a pair, and its label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_tasks.features.features import Features, Ragged
from distilbert_tasks.features.recipe import Columns, Recipe

__all__ = ["text_classification_features"]


def text_classification_features(columns: Columns, recipe: Recipe) -> Features:
    """Make features of the columns `text`, `text_pair` and `label`, the last two where they are.

    Args:
        columns: The examples; a label is a class id, a number, or a list of numbers for several labels.
        recipe: What they are made with.
    """
    texts, pairs = list(columns["text"]), columns.get("text_pair")
    truncation = True if pairs is None else recipe.options.truncation
    pairs = None if pairs is None else list(pairs)
    tokenizer_options = {"truncation": truncation, "max_length": recipe.length}
    ids = recipe.tokenizer(texts, pairs, **tokenizer_options)["input_ids"] if texts else []
    labels = {"labels": label_array(columns["label"])} if "label" in columns else {}
    return Features(Ragged.from_lists(ids), labels, np.arange(len(ids)), task="text-classification")


def label_array(labels: Sequence[Any]) -> NDArray[Any]:
    """Return class ids as int32, numbers and lists of numbers as float32: (rows,) or (rows, num_labels)."""
    array = np.asarray(labels)
    return array.astype(np.int32 if array.ndim == 1 and array.dtype.kind in "iu" else np.float32)
