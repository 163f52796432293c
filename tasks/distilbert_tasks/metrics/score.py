"""The scores of a model on a split, whatever the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilbert_common import DistilBertConfig
from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.errors import InputError
from distilbert_common.problem_types import implied_problem_type
from distilbert_tasks.decoding.spans import Answer, SpanOptions, decode_answers
from distilbert_tasks.decoding.tags import decode_tags
from distilbert_tasks.features.features import Features
from distilbert_tasks.metrics.classification import (
    score_choices,
    score_classes,
    score_labels,
    score_multi_label,
    score_regression,
)
from distilbert_tasks.metrics.entities import OUTSIDE, has_entities, score_entities
from distilbert_tasks.metrics.language import score_masked_tokens
from distilbert_tasks.metrics.losses import cross_entropy, label_losses
from distilbert_tasks.metrics.scores import Scores
from distilbert_tasks.metrics.squad import score_answers
from distilbert_tasks.task import find_task

__all__ = ["best_metric", "decoded_answers", "label_names", "problem_type_of", "score"]

Outputs = Mapping[str, Any]


def score(
    task: str,
    dataset: Any,
    features: Features,
    outputs: Outputs,
    config: DistilBertConfig,
    spans: SpanOptions | None = None,
) -> Scores:
    """Score the outputs of a model.

    Args:
        task: The task, by any of its names.
        dataset: The examples, as `load_data` returns them.
        features: What was made of them, with labels.
        outputs: By name and row, what the model returned: `logits`, or `start_logits` and `end_logits`; (rows, …), or a
            list of arrays (seq, …) without padding. For masked LM the sums of `masked_token_scores`, of each batch.
        config: That of the model, for the names of labels and the problem type.
        spans: Which answers are looked for; None for BERT's habits, with no answer where the data has such questions.

    Raises:
        InputError: There is nothing to score, or no label.
    """
    name = find_task(task).name
    if name == "question-answering":
        return _score_answers(dataset, features, outputs, spans)
    return SCORERS[name](dataset, features, outputs, config)


def label_names(config: DistilBertConfig) -> tuple[str, ...]:
    """Return the names of the classes in order."""
    return tuple(str(config.id2label[number]) for number in range(config.num_labels))


def problem_type_of(config: DistilBertConfig, labels: NDArray[Any]) -> str:
    """Return the problem type of a classifier: the config's, or what its labels show, as the models infer it."""
    return implied_problem_type(config, is_single=labels.dtype.kind in "iu")


def best_metric(task: str, config: DistilBertConfig) -> tuple[str, bool]:
    """Return the name of the metric by which the best checkpoint is chosen, and whether more of it is better."""
    chosen = find_task(task)
    if chosen.name == "text-classification":
        if config.problem_type == "regression" or (config.problem_type is None and config.num_labels == 1):
            return "pearson", True
        if config.problem_type == "multi_label_classification":
            return "f1_micro", True
    if chosen.name == "token-classification" and not has_entities(label_names(config)):
        return "accuracy", True
    return chosen.metric, chosen.higher_is_better


def _labels(features: Features, name: str = "labels") -> Any:
    if name not in features.labels:
        raise InputError("the data has no labels, which scores need; give data with labels, or predict instead")
    return features.labels[name]


def _score_texts(dataset: Any, features: Features, outputs: Outputs, config: DistilBertConfig) -> Scores:
    labels, logits = np.asarray(_labels(features)), np.asarray(outputs["logits"])
    kind = problem_type_of(config, labels)
    if kind == "regression":
        return score_regression(logits, labels)
    scorer = score_multi_label if kind == "multi_label_classification" else score_classes
    return scorer(logits, labels, label_names(config))


def _score_choices(dataset: Any, features: Features, outputs: Outputs, config: DistilBertConfig) -> Scores:
    return score_choices(np.asarray(outputs["logits"]), _labels(features))


def _score_masked(dataset: Any, features: Features, outputs: Outputs, config: DistilBertConfig) -> Scores:
    return score_masked_tokens(*(np.asarray(outputs[name]) for name in ("loss", "tokens", "correct")))


def _score_words(dataset: Any, features: Features, outputs: Outputs, config: DistilBertConfig) -> Scores:
    names, logits, labels = label_names(config), outputs["logits"], _labels(features)
    outside = names.index(OUTSIDE) if OUTSIDE in names else 0
    expected = [np.asarray(tags, np.int64) for tags in dataset["tags"]]
    words = [features.details["word"][row] for row in range(len(features))]
    predicted = decode_tags(logits, words, features.example, [len(tags) for tags in expected], outside)
    predicted = [tags[truth != IGNORE_INDEX] for tags, truth in zip(predicted, expected, strict=True)]
    expected = [truth[truth != IGNORE_INDEX] for truth in expected]
    tokens = np.concatenate([np.asarray(row) for row in logits]), labels.values  # (tokens, classes), (tokens,)
    by_word = score_labels(np.concatenate(predicted), np.concatenate(expected), names, {"loss": cross_entropy(*tokens)})
    if not has_entities(names):
        return by_word
    entities = score_entities(predicted, expected, names)
    metrics = {"loss": by_word.metrics["loss"], **entities.metrics}
    return replace(entities, metrics=metrics, confusion=by_word.confusion)


def _score_answers(dataset: Any, features: Features, outputs: Outputs, options: SpanOptions | None) -> Scores:
    references = [list(answers["text"]) for answers in dataset["answers"]]
    options = options or default_spans(dataset)
    answers = decoded_answers(dataset, features, outputs, options)
    sides = outputs["start_logits"], outputs["end_logits"]
    loss = {"loss": np.mean([_span_loss(features, side, logits) for side, logits in zip(SIDES, sides, strict=True)])}
    texts, no_answer_scores = [answer.best_text for answer in answers], [answer.no_answer_score for answer in answers]
    if not options.allow_no_answer:
        return _with(loss, score_answers(texts, references))
    threshold = options.no_answer_threshold
    return _with(
        loss, score_answers(texts, references, version_2=True, no_answer_scores=no_answer_scores, threshold=threshold)
    )


def default_spans(dataset: Any) -> SpanOptions:
    """Return which answers are looked for, if nothing is said: also none, where a question of the data has none."""
    return SpanOptions(allow_no_answer=not all(list(answers["text"]) for answers in dataset["answers"]))


def decoded_answers(dataset: Any, features: Features, outputs: Outputs, options: SpanOptions | None) -> list[Answer]:
    """Return the answer to each question.

    Args:
        dataset: The examples, as `load_data` returns them.
        features: What was made of them.
        outputs: `start_logits` and `end_logits`, a list of arrays (seq,) each.
        options: Which answers are looked for; None for `default_spans`.
    """
    options = options or default_spans(dataset)
    offsets = [features.details["offsets"][row] for row in range(len(features))]
    sides = outputs["start_logits"], outputs["end_logits"]
    return decode_answers(*sides, offsets, features.example, list(dataset["context"]), options)


SIDES = ("start_positions", "end_positions")


def _span_loss(features: Features, name: str, logits: Sequence[ArrayLike]) -> float:
    """Return the mean loss of one end of the answers."""
    labels = np.asarray(_labels(features, name))
    rows = (label_losses(np.asarray(row)[None], label[None]) for row, label in zip(logits, labels, strict=True))
    return float(np.mean([float(loss[0]) for loss in rows]))


def _with(metrics: Mapping[str, Any], scores: Scores) -> Scores:
    return replace(scores, metrics={**{name: float(value) for name, value in metrics.items()}, **scores.metrics})


Scorer = Callable[[Any, Features, Outputs, DistilBertConfig], Scores]
SCORERS: dict[str, Scorer] = {
    "text-classification": _score_texts,
    "token-classification": _score_words,
    "multiple-choice": _score_choices,
    "fill-mask": _score_masked,
}
