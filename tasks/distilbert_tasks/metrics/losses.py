"""The models' losses in NumPy, over all rows at once, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distilbert_common.constants import IGNORE_INDEX

__all__ = ["binary_cross_entropy", "cross_entropy", "label_losses"]


def label_losses(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return minus the log-probability of each label.

    Args:
        logits: (rows, classes).
        labels: (rows,) class ids.

    Returns:
        (rows,).
    """
    scores = logits.astype(np.float64)  # (rows, classes)
    shifted = scores - scores.max(axis=-1, keepdims=True, initial=-np.inf)  # (rows, classes)
    losses: NDArray[np.float64] = np.log(np.exp(shifted).sum(axis=-1)) - shifted[np.arange(len(labels)), labels]
    return losses


def cross_entropy(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the mean loss of the labels that count; 0 where none does.

    Args:
        logits: (rows, classes).
        labels: (rows,) class ids, -100 for what does not count.
    """
    counted = labels != IGNORE_INDEX
    return float(label_losses(logits[counted], labels[counted]).mean()) if counted.any() else 0.0


def binary_cross_entropy(logits: NDArray[np.floating], labels: NDArray[np.floating]) -> float:
    """Return the mean loss of labels that are each there or not: both (rows, classes)."""
    scores = logits.astype(np.float64)
    return float((np.logaddexp(0, scores) - scores * labels).mean()) if scores.size else 0.0
