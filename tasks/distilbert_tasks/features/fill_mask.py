"""Features of masked LM: blocks of texts joined, or texts one by one; what is masked is chosen anew in each step."""

from __future__ import annotations

import numpy as np

from distilbert_tasks.features.features import Features, Ragged
from distilbert_tasks.features.recipe import Columns, Recipe
from distilbert_tasks.masking import Masking

__all__ = ["fill_mask_features", "in_blocks"]


def fill_mask_features(columns: Columns, recipe: Recipe) -> Features:
    """Make features of the column `text`, a row for each text that is not blank.

    Args:
        columns: The texts.
        recipe: What they are made with.
    """
    examples = [number for number, text in enumerate(columns["text"]) if text.strip()]
    texts = [columns["text"][number] for number in examples]
    options = recipe.options
    tokenizer_options = (
        {"truncation": True, "max_length": recipe.length} if options.line_by_line else {"verbose": False}
    )
    ids = recipe.tokenizer(texts, **tokenizer_options)["input_ids"] if texts else []
    details = {"masking": Masking.of(recipe.tokenizer, options.mlm_probability, options.whole_word_mask)}
    return Features(Ragged.from_lists(ids), {}, np.asarray(examples, np.int64), details=details, task="fill-mask")


def in_blocks(features: Features, length: int) -> Features:
    """Return features whose rows are blocks of all texts joined; the last one may be shorter."""
    values = features.input_ids.values
    offsets = np.append(np.arange(0, len(values), length, dtype=np.int64), len(values))
    first = (
        np.searchsorted(features.input_ids.offsets, offsets[:-1], side="right") - 1
    )  # the text that a block starts in
    return Features(Ragged(values, offsets), {}, features.example[first], details=features.details, task=features.task)
