"""Scores of classes and of numbers, by scikit-learn and SciPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.errors import InputError
from distilbert_tasks.metrics.losses import binary_cross_entropy, cross_entropy
from distilbert_tasks.metrics.scores import Confusion, Scores, check_finite, class_scores

__all__ = ["score_choices", "score_classes", "score_labels", "score_multi_label", "score_regression"]

Ints = NDArray[np.int64]


def score_classes(logits: ArrayLike, labels: ArrayLike, names: Sequence[str]) -> Scores:
    """Score examples that have one class each.

    Args:
        logits: (rows, classes).
        labels: (rows,) class ids; -100 for an example that does not count.
        names: (classes,) the name of each class.

    Returns:
        Accuracy, F1 (macro, micro, weighted, and with two classes of the second), Matthews' correlation, the loss.

    Raises:
        InputError: No example has a label, or a logit is not finite.
    """
    scores, expected = np.asarray(logits), np.asarray(labels)
    scores, expected = scores[expected != IGNORE_INDEX], expected[expected != IGNORE_INDEX]
    check_finite("logits", scores)
    metrics = {"loss": cross_entropy(scores, expected)}
    return score_labels(scores.argmax(axis=-1) if len(scores) else expected, expected, names, metrics)


def score_labels(
    predicted: ArrayLike, expected: ArrayLike, names: Sequence[str], metrics: dict[str, float] | None = None
) -> Scores:
    """Score predicted class ids.

    Args:
        predicted: (rows,) class ids.
        expected: (rows,) class ids.
        names: (classes,) the name of each class.
        metrics: What is already known of these examples.

    Raises:
        InputError: There is no example.
    """
    from sklearn.metrics import confusion_matrix, f1_score, matthews_corrcoef

    guesses, truth = np.asarray(predicted, np.int64), np.asarray(expected, np.int64)
    if not truth.size:
        raise InputError("no example has a label, which leaves nothing to score; give labeled examples")
    averages = {f"f1_{kind}": f1_score(truth, guesses, average=kind, zero_division=0) for kind in AVERAGES}
    varied = len(np.union1d(guesses, truth)) > 1  # of a single class, scikit-learn returns 0 and warns
    mcc = matthews_corrcoef(truth, guesses) if varied else 0.0
    numbers = {"accuracy": (guesses == truth).mean(), **averages, "mcc": mcc}
    counts: Ints = confusion_matrix(truth, guesses, labels=np.arange(len(names))).astype(np.int64)
    classes = class_scores(names, counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1))
    if len(names) == 2:
        numbers |= {"f1": classes[1].f1, "precision": classes[1].precision, "recall": classes[1].recall}
    return Scores({**(metrics or {}), **_floats(numbers)}, classes, Confusion(counts, tuple(names)))


AVERAGES = ("macro", "micro", "weighted")


def score_multi_label(logits: ArrayLike, labels: ArrayLike, names: Sequence[str]) -> Scores:
    """Score examples that have any number of classes; one is predicted where its probability is at least a half.

    Args:
        logits: (rows, classes).
        labels: (rows, classes) of 0 and 1.
        names: (classes,) the name of each class.

    Returns:
        F1 (micro, macro, weighted), the share of examples with all classes right (`subset_accuracy`), the loss.

    Raises:
        InputError: There is no example, or a logit is not finite.
    """
    from sklearn.metrics import f1_score

    scores, truth = np.asarray(logits), np.asarray(labels)
    if not len(truth):
        raise InputError("there is no example to score; give labeled examples")
    check_finite("logits", scores)
    predicted, expected = scores >= 0, truth >= 0.5
    numbers = {f"f1_{kind}": f1_score(expected, predicted, average=kind, zero_division=0) for kind in AVERAGES}
    numbers["subset_accuracy"] = (predicted == expected).all(axis=1).mean()
    numbers["loss"] = binary_cross_entropy(scores, truth)
    counts = (predicted & expected, predicted, expected)
    return Scores(_floats(numbers), class_scores(names, *(count.sum(axis=0) for count in counts)))


def score_regression(logits: ArrayLike, labels: ArrayLike) -> Scores:
    """Score predicted numbers.

    Args:
        logits: (rows,) or (rows, numbers) predictions.
        labels: As many numbers.

    Returns:
        Pearson's and Spearman's correlation (the mean of them, of several numbers; 0 where all predictions or all
        labels are the same), the mean squared and the mean absolute error.

    Raises:
        InputError: There is no example, a prediction is not finite, or rows differ in how many numbers they have.
    """
    truth = np.asarray(labels, np.float64)
    if not len(truth):
        raise InputError("there is no example to score; give labeled examples")
    truth = truth.reshape(len(truth), -1)  # (rows, numbers)
    predicted = np.asarray(logits, np.float64).reshape(len(truth), -1)  # (rows, numbers)
    if predicted.shape != truth.shape:
        raise InputError(
            f"the model predicts {predicted.shape[1]} numbers a row, and the data has {truth.shape[1]}; give data with "
            "as many"
        )
    check_finite("predictions", predicted)
    error = predicted - truth
    metrics = {"mse": (error**2).mean(), "mae": np.abs(error).mean(), "loss": (error**2).mean()}
    return Scores(_floats({**_correlations(predicted, truth), **metrics}))


def _correlations(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float]:
    from scipy.stats import pearsonr, spearmanr

    columns = list(zip(predicted.T, truth.T, strict=True))
    varied = [len(one) > 1 and np.ptp(one) > 0 and np.ptp(other) > 0 for one, other in columns]
    return {
        name: float(
            np.mean([function(*pair).statistic if ok else 0.0 for pair, ok in zip(columns, varied, strict=True)])
        )
        for name, function in (("pearson", pearsonr), ("spearman", spearmanr))
    }


def score_choices(logits: ArrayLike, labels: ArrayLike) -> Scores:
    """Score the choices of multiple choice: (rows, choices) logits, (rows,) the right one, -100 for none known.

    Returns:
        Accuracy and the loss.

    Raises:
        InputError: No example has a label, or a logit is not finite.
    """
    scores, truth = np.asarray(logits), np.asarray(labels)
    scores, truth = scores[truth != IGNORE_INDEX], truth[truth != IGNORE_INDEX]
    if not len(truth):
        raise InputError("no example has a label, which leaves nothing to score; give labeled examples")
    check_finite("logits", scores)
    return Scores(_floats({"accuracy": (scores.argmax(axis=-1) == truth).mean(), "loss": cross_entropy(scores, truth)}))


def _floats(numbers: dict[str, Any]) -> dict[str, float]:
    return {name: float(number) for name, number in numbers.items()}
