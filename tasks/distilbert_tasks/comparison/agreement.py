"""How often two models say the same of the same examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common import DistilBertConfig
from distilbert_common.constants import IGNORE_INDEX
from distilbert_tasks.decoding import SpanOptions
from distilbert_tasks.features import Features
from distilbert_tasks.metrics.score import decoded_answers, problem_type_of

__all__ = ["agreement"]

Outputs = Mapping[str, Any]


def agreement(
    dataset: Any,
    features: Features,
    one: Outputs,
    other: Outputs,
    config: DistilBertConfig,
    spans: SpanOptions | None = None,
) -> float | None:
    """Return the share of predictions that are the same.

    A prediction is the class of a text, all labels of one that may have several, the label of a word, the text of an
    answer, the choice, or the likeliest token at a masked place.

    Args:
        dataset: The examples, as `load_data` returns them.
        features: What was made of them.
        one: The outputs of one model, as `split_outputs` returns them.
        other: Those of the other.
        config: The config of both, for the problem type.
        spans: Which answers are looked for.

    Returns:
        From 0 to 1; None where numbers are predicted, which are hardly ever the same.
    """
    if features.task == "question-answering":
        answers = [decoded_answers(dataset, features, outputs, spans) for outputs in (one, other)]
        return _share([ours.best.text == theirs.best.text for ours, theirs in zip(*answers, strict=True)])
    if features.task == "text-classification":
        kind = problem_type_of(config, np.asarray(features.labels["labels"]))
        if kind == "regression":
            return None
        if kind == "multi_label_classification":
            signs = [np.asarray(outputs["logits"]) > 0 for outputs in (one, other)]  # (rows, labels) each
            return _share((signs[0] == signs[1]).all(axis=-1))
    return _share(np.equal(*(_predicted(features, outputs) for outputs in (one, other))))


def _predicted(features: Features, outputs: Outputs) -> NDArray[Any]:
    """Return the class of each row, or of each token that has a label."""
    if features.task == "fill-mask":
        return np.asarray(outputs["predicted"])
    if features.task != "token-classification":
        return np.asarray(np.argmax(outputs["logits"], axis=-1))
    labels: Any = features.labels["labels"]
    predicted = np.concatenate([np.asarray(row).argmax(axis=-1) for row in outputs["logits"]])  # (tokens,)
    return np.asarray(predicted[labels.values != IGNORE_INDEX])


def _share(same: Any) -> float:
    return float(np.mean(same)) if len(same) else 0.0
