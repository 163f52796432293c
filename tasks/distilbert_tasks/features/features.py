"""Features: what a model takes of each example, as ragged arrays, so that a batch of any rows is cheap to take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Features", "Ragged", "SelectedRows"]


@dataclass(frozen=True)
class Ragged:
    """Lists of different lengths in one array; both arrays may be memory-mapped.

    Attributes:
        values: (total,) the values, list after list.
        offsets: (lists + 1,) int64: where each list starts, and where the last one ends.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    @classmethod
    def from_lists(cls, lists: Iterable[ArrayLike], dtype: Any = np.int32) -> Ragged:
        """Join lists into one array."""
        arrays = [np.asarray(one, dtype) for one in lists]
        values = np.concatenate(arrays) if arrays else np.zeros(0, dtype)
        return cls.from_sizes(values, np.asarray([len(one) for one in arrays], np.int64))

    @classmethod
    def from_sizes(cls, values: NDArray[Any], sizes: NDArray[np.int64]) -> Ragged:
        """Return the lists whose values and lengths these are."""
        return cls(values, np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(lists,) the length of each list."""
        sizes: NDArray[np.int64] = np.diff(self.offsets)
        return sizes

    def take(self, indices: ArrayLike) -> list[NDArray[Any]]:
        """Return some of the lists."""
        return [self[int(index)] for index in np.asarray(indices).reshape(-1)]


@dataclass(frozen=True)
class Features:
    """The features of one split, by row; a row is what is put into a batch as one.

    Attributes:
        input_ids: (rows,) token lists; for multiple choice (rows * choices,).
        labels: By the name of the model's argument: (rows,) or (rows, num_labels) arrays, or one value per token.
        example: (rows,) the example that each row is made of; a long context makes several rows.
        choices: How many token lists a row has; 1 but for multiple choice.
        details: What decoding needs, by row: which token is which part of the text.
        task: The name of the task.
    """

    input_ids: Ragged
    labels: Mapping[str, NDArray[Any] | Ragged]
    example: NDArray[np.int64]
    choices: int = 1
    details: Mapping[str, Any] = field(default_factory=dict)
    task: str = "text-classification"

    def __len__(self) -> int:
        return len(self.example)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(rows,) how many tokens each row has, all choices together."""
        sizes: NDArray[np.int64] = self.input_ids.sizes.reshape(len(self), self.choices).sum(axis=1)
        return sizes


@dataclass(frozen=True)
class SelectedRows(Ragged):
    """Some of the lists of another, without a copy of their values.

    Attributes:
        rows: (lists,) the numbers of those that are selected, in order.
    """

    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return super().__getitem__(int(self.rows[index]))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(lists,) the length of each list."""
        sizes: NDArray[np.int64] = np.diff(self.offsets)[self.rows]
        return sizes
