"""Records as a file has them, some at a time, and where each is from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Locations", "Records"]


@dataclass(frozen=True)
class Records:
    """Some records of one file.

    Attributes:
        columns: The values of each column, all of one length.
        source: The name of the file or data set.
        numbers: (records,) the row or line of each, from 1.
        unit: What the numbers count: "row" or "line".
    """

    columns: dict[str, Sequence[Any]]
    source: str
    numbers: NDArray[np.int64]
    unit: str = "row"

    def __len__(self) -> int:
        return len(self.numbers)

    def where(self, index: int, column: str | None = None) -> str:
        """Return where a record is from, as errors say it."""
        place = f"{self.source}, {self.unit} {self.numbers[index]}"
        return place if column is None else f"{place}, column {column!r}"


@dataclass
class Locations:
    """Where the rows of a split are from."""

    records: list[tuple[int, Records]] = field(default_factory=list)
    count: int = 0

    def add(self, records: Records) -> None:
        """Note where the next rows are from."""
        self.records.append((self.count, Records({}, records.source, records.numbers, records.unit)))
        self.count += len(records)

    def where(self, row: int, column: str | None = None) -> str:
        """Return where a row of the split is from."""
        starts = [start for start, _ in self.records]
        start, records = self.records[int(np.searchsorted(starts, row, side="right")) - 1]
        return records.where(row - start, column)
