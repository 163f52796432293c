"""Some rows of the features, with their labels at hand and, in masked LM, masked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.constants import IGNORE_INDEX
from distilbert_tasks.features import Features, Ragged

__all__ = ["Rows", "Values", "share", "take_rows", "weigh"]

Values = NDArray[Any] | list[NDArray[Any]]
"""One value for each row, or one for each token of each row."""


@dataclass(frozen=True)
class Rows:
    """Rows on their way into a batch.

    Attributes:
        ids: Token lists; for multiple choice (rows * choices).
        labels: By the name of the model's argument.
        choices: How many token lists a row has.
        task: The name of the task.
    """

    ids: list[NDArray[Any]]
    labels: Mapping[str, Values]
    choices: int
    task: str

    def __len__(self) -> int:
        return len(self.ids) // self.choices

    @property
    def sizes(self) -> NDArray[np.int32]:
        """(token lists,) how many tokens each list has."""
        return np.asarray([len(one) for one in self.ids], np.int32)

    @property
    def row_sizes(self) -> NDArray[np.int64]:
        """(rows,) how many tokens each row has, all choices together."""
        sizes: NDArray[np.int64] = self.sizes.reshape(len(self), self.choices).sum(axis=1)
        return sizes

    @property
    def is_per_token(self) -> bool:
        """Whether the model gives outputs for each token, and not for each row."""
        return self.task in ("token-classification", "question-answering", "fill-mask")

    def select(self, positions: NDArray[np.int64]) -> Rows:
        """Return some of the rows."""
        lists = (positions[:, None] * self.choices + np.arange(self.choices)).reshape(-1)  # (rows * choices,)
        labels = {name: _select(values, positions) for name, values in self.labels.items()}
        return Rows(_select(self.ids, lists), labels, self.choices, self.task)

    def label_weights(self, class_weights: Sequence[float] | None = None) -> NDArray[np.float64]:
        """Return what each row counts in the mean over labels, (rows,)."""
        values = next(iter(self.labels.values()), None)
        if isinstance(values, list):
            return np.asarray([weigh(one, class_weights).sum() for one in values])
        if values is None or values.ndim > 1 or values.dtype.kind == "f" or self.task != "text-classification":
            return np.ones(len(self))
        return weigh(values, class_weights)


def take_rows(features: Features, rows: NDArray[np.int64], masking_seed: tuple[int, ...] | None = None) -> Rows:
    """Take rows of the features.

    Args:
        features: All rows.
        rows: The numbers of those to take, in order.
        masking_seed: What the masks of masked LM depend on; None masks nothing.
    """
    lists = (rows[:, None] * features.choices + np.arange(features.choices)).reshape(-1)  # (rows * choices,)
    ids = features.input_ids.take(lists)
    labels: dict[str, Values] = {
        name: values.take(rows) if isinstance(values, Ragged) else values[rows]
        for name, values in features.labels.items()
    }
    if masking_seed is not None and "masking" in features.details and ids:
        starts = np.cumsum([0, *map(len, ids[:-1])])
        masked, targets = features.details["masking"].apply(np.concatenate(ids), masking_seed, starts)
        ids, labels = np.split(masked, starts[1:]), {"labels": np.split(targets, starts[1:])}
    return Rows(ids, labels, features.choices, features.task)


def _select(values: Any, positions: NDArray[np.int64]) -> Any:
    return [values[position] for position in positions] if isinstance(values, list) else values[positions]


def weigh(labels: NDArray[Any], class_weights: Sequence[float] | None) -> NDArray[np.float64]:
    """Return what each label counts; 0 where it is ignored."""
    is_label: NDArray[np.bool_] = np.not_equal(labels, IGNORE_INDEX)
    if class_weights is None:
        return is_label.astype(np.float64)
    weights: NDArray[np.float64] = np.asarray(class_weights, np.float64)[np.where(is_label, labels, 0)]
    return np.where(is_label, weights, 0.0)


def share(values: NDArray[Any], part: Any) -> float:
    """Return the share of some values in the sum over all."""
    return float(values[part].sum()) / (float(values.sum()) or 1.0)
