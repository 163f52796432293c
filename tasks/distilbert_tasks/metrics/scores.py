"""What an evaluation gives: numbers by name, and per class where there are classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilbert_common.errors import InputError

__all__ = [
    "LESS_IS_BETTER",
    "ClassScore",
    "Confusion",
    "Scores",
    "check_finite",
    "class_scores",
    "class_table",
    "ratio",
]

LESS_IS_BETTER = frozenset({"loss", "perplexity", "mse", "mae"})
"""The metrics of which less is better."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ClassScore:
    """The scores of one class, from 0 to 1.

    Attributes:
        name: The class, or the type of entity.
        support: How many there are in the data.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Confusion:
    """How often each class was taken for which.

    Attributes:
        counts: (classes, classes) int64; the row is the class in the data, the column the predicted one.
        names: The name of each class.
    """

    counts: Ints
    names: tuple[str, ...]


@dataclass(frozen=True)
class Scores:
    """What an evaluation gives.

    Attributes:
        metrics: The numbers by name.
        classes: The scores of each class, where there are classes.
        confusion: Which class was taken for which, where each example has exactly one.
    """

    metrics: dict[str, float]
    classes: tuple[ClassScore, ...] = ()
    confusion: Confusion | None = None


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """Divide counts; 0 where there is nothing to divide by."""
    numerators, denominators = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(
        numerators,
        denominators,
        out=np.zeros(np.broadcast_shapes(numerators.shape, denominators.shape)),
        where=denominators != 0,
    )


def class_scores(names: Sequence[str], correct: Ints, predicted: Ints, support: Ints) -> tuple[ClassScore, ...]:
    """Return the scores of each class.

    Args:
        names: (classes,) the name of each.
        correct: (classes,) how often the class was predicted rightly.
        predicted: (classes,) how often it was predicted.
        support: (classes,) how often it is in the data.
    """
    columns = (ratio(correct, predicted), ratio(correct, support), ratio(2 * correct, predicted + support), support)
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    return tuple(ClassScore(*row) for row in rows)


def class_table(classes: Sequence[ClassScore]) -> str:
    """Return the scores of each class as a table in Markdown."""
    lines = ["| class | precision | recall | F1 | support |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {c.name} | {c.precision:.4f} | {c.recall:.4f} | {c.f1:.4f} | {c.support} |" for c in classes]
    return "\n".join(lines)


def check_finite(name: str, values: NDArray[np.floating]) -> None:
    """Require numbers that can be scored.

    Raises:
        InputError: One is NaN or infinite.
    """
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise InputError(
            f"{name} of row {row} hold a value that is not finite: the weights are broken; "
            "train again with a lower learning rate or clipped gradients"
        )
