"""Features of multiple choice: a pair of prompt and choice for each choice, and the index of the right one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.features.features import Features, Ragged
from distilbert_tasks.features.options import FeatureOptions

__all__ = ["multiple_choice_features"]


def multiple_choice_features(
    columns: Mapping[str, Sequence[Any]], tokenizer: Any, length: int, options: FeatureOptions
) -> Features:
    """Make features of the columns `prompt`, `choices` and, where it is, `label`.

    Args:
        columns: The examples; where all prompts are empty, choices stand alone.
        tokenizer: Makes token ids of texts.
        length: The most tokens of prompt and choice together.
        options: Which of the two is cut.

    Raises:
        InputError: Examples differ in their number of choices.
    """
    counts = sorted({len(choices) for choices in columns["choices"]})
    if len(counts) > 1:
        raise InputError(f"examples have {counts[0]} to {counts[-1]} choices; a model takes the same number in each")
    choices = [choice for example in columns["choices"] for choice in example]
    prompts = [prompt for prompt in columns["prompt"] for _ in range(counts[0])]
    pairs = (prompts, choices) if any(prompts) else (choices, None)
    truncation = options.truncation if any(prompts) else True
    ids = tokenizer(*pairs, truncation=truncation, max_length=length)["input_ids"] if choices else []
    labels = {"labels": np.asarray(columns["label"], np.int32)} if "label" in columns else {}
    rows = np.arange(len(columns["choices"]))
    return Features(Ragged.from_lists(ids), labels, rows, counts[0] if counts else 1, task="multiple-choice")
