"""Features of multiple choice: a pair of prompt and choice for each choice, and the index of the right one."""

from __future__ import annotations

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.features.features import Features, Ragged
from distilbert_tasks.features.recipe import Columns, Recipe

__all__ = ["multiple_choice_features"]


def multiple_choice_features(columns: Columns, recipe: Recipe) -> Features:
    """Make features of the columns `prompt`, `choices` and, where it is, `label`.

    Args:
        columns: The examples; where all prompts are empty, choices stand alone.
        recipe: What they are made with.

    Raises:
        InputError: Examples differ in their number of choices.
    """
    counts = sorted({len(choices) for choices in columns["choices"]})
    if len(counts) > 1:
        raise InputError(f"examples have {counts[0]} to {counts[-1]} choices; a model takes the same number in each")
    choices = [choice for example in columns["choices"] for choice in example]
    prompts = [prompt for prompt in columns["prompt"] for _ in range(counts[0])]
    pairs = (prompts, choices) if any(prompts) else (choices, None)
    tokenizer_options = {"truncation": recipe.options.truncation if any(prompts) else True, "max_length": recipe.length}
    ids = recipe.tokenizer(*pairs, **tokenizer_options)["input_ids"] if choices else []
    labels = {"labels": np.asarray(columns["label"], np.int32)} if "label" in columns else {}
    rows = np.arange(len(columns["choices"]))
    return Features(Ragged.from_lists(ids), labels, rows, counts[0] if counts else 1, task="multiple-choice")
