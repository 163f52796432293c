"""Records as a file has them, some at a time, and where each is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        unit: What the numbers count, such as "row" or "line".
        label_names: For columns whose type names its labels, the names by class id; the values are names already.
    """

    columns: Mapping[str, Sequence[Any]]
    source: str
    numbers: NDArray[np.int64]
    unit: str = "row"
    label_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    def values(self, column: str) -> Sequence[Any]:
        """Return the values of a column; None for each where these records lack it."""
        return self.columns[column] if column in self.columns else [None] * len(self)

    def head(self, count: int) -> Records:
        """Return the first records."""
        columns = {name: values[:count] for name, values in self.columns.items()}
        return Records(columns, self.source, self.numbers[:count], self.unit, self.label_names)

    def where(self, index: int, column: str | None = None) -> str:
        """Return where a record is from, as errors say it."""
        location = f"{self.source}, {self.unit} {self.numbers[index]}"
        return location if column is None else f"{location}, column {column!r}"


@dataclass
class Locations:
    """Where the rows of a split are from."""

    records: list[Records] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    count: int = 0

    def add(self, records: Records) -> None:
        """Note where the next rows are from."""
        self.records.append(Records({}, records.source, records.numbers, records.unit))
        self.starts.append(self.count)
        self.count += len(records)

    def where(self, row: int, column: str | None = None) -> str:
        """Return where a row of the split is from."""
        part = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.records[part].where(row - self.starts[part], column)
