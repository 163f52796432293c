"""The losses by their definitions, in float64."""

from __future__ import annotations

import numpy as np


def cross_entropy(x: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy of logits (…, classes) and labels (…)."""
    x = np.asarray(x, float)
    at_labels = np.take_along_axis(x, labels[..., None], -1)[..., 0]
    return float(np.mean(np.log(np.exp(x).sum(-1)) - at_labels))


def squared_error(x: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean squared difference."""
    return float(np.square(np.asarray(x, float) - labels).mean())


def binary_cross_entropy(x: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean binary cross-entropy of logits and 0/1 labels of one shape."""
    x = np.asarray(x, float)
    return float(np.mean(np.log1p(np.exp(x)) - x * labels))
