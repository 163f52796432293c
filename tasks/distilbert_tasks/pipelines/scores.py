"""Logits to probabilities, in float32 as the models compute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "sigmoid", "softmax", "top"]

Floats = NDArray[np.float32]


def softmax(logits: Floats) -> Floats:
    """(…, classes) -> probabilities of the same shape that add up to 1 over the classes."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: Floats = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


def sigmoid(logits: Floats) -> Floats:
    """(…) -> probabilities, each for itself; no logit overflows."""
    exponentials = np.exp(-np.abs(logits))
    probabilities: Floats = np.where(logits >= 0, np.ones_like(exponentials), exponentials) / (1 + exponentials)
    return probabilities


def top(scores: Floats, count: int) -> NDArray[np.intp]:
    """Return the indices of the highest scores of (classes,), the highest first; of equal ones the first."""
    if count >= len(scores):
        return np.argsort(-scores, kind="stable")
    highest = np.sort(np.argpartition(-scores, count - 1)[:count])
    indices: NDArray[np.intp] = highest[np.argsort(-scores[highest], kind="stable")]
    return indices
