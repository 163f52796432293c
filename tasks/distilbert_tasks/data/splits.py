"""A validation set drawn from the training set, where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_tasks.randomness import uniform

__all__ = ["draw_validation"]

Indices = NDArray[np.int64]


def draw_validation(
    rows: int,
    share: float,
    seed: int,
    labels: Sequence[Any] | None = None,
    groups: Sequence[Any] | None = None,
    drawable: Indices | None = None,
) -> tuple[Indices, Indices]:
    """Return the rows of the training set and those of the validation set, both in order.

    Args:
        rows: How many rows there are.
        share: How many of them are for validation: at least one, and not all.
        seed: What the choice depends on.
        labels: The label of each row; each is drawn from in proportion.
        groups: What rows of one value stay together by, such as the contexts of questions.
        drawable: The rows that validation may have; None for all.
    """
    if drawable is not None:
        validation = drawable[draw_validation(len(drawable), share, seed)[1]]
        return np.setdiff1d(np.arange(rows), validation), validation
    units = (
        np.arange(rows) if groups is None else np.unique(np.asarray(groups, object).astype(str), return_inverse=True)[1]
    )
    count = int(units.max(initial=-1)) + 1
    drawn = min(max(1, round(count * share)), count - 1) if count > 1 else 0
    codes = np.zeros(count, np.int64) if labels is None or groups is not None else _codes(labels)
    order = np.lexsort((uniform((seed, 0, 2), count), codes))  # by label, at random within each
    chosen = order[((np.arange(drawn) + 0.5) * count / max(drawn, 1)).astype(np.int64)]
    is_validation = np.isin(units, chosen)
    return np.flatnonzero(~is_validation), np.flatnonzero(is_validation)


def _codes(labels: Sequence[Any]) -> Indices:
    """Return a number for each label, or each combination of several."""
    return np.unique([str(label) for label in labels], return_inverse=True)[1].astype(np.int64)
