"""The labels of one split as they are written, and where each is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distilbert_tasks.data.records import Locations

__all__ = ["Split"]


@dataclass
class Split:
    """The labels of one split.

    Attributes:
        values: (rows,) the labels; None where there are none.
        locations: Where each row is from.
        columns: The columns that labels are from.
        label_names: For columns whose type names its labels, the names.
    """

    values: list[Any] | None = None
    locations: Locations = field(default_factory=Locations)
    columns: tuple[str, ...] = ()
    label_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def where(self, row: int) -> str:
        """Return where the label of a row is from."""
        return self.locations.where(row, self.columns[0] if len(self.columns) == 1 else None)

    @property
    def declared(self) -> tuple[str, ...] | None:
        """The names that the type of the column gives; None where it gives none."""
        return self.label_names.get(self.columns[0]) if self.columns else None
