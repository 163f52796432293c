"""Micro batches whose tokens are numbered, so that what a teacher gave for a step is stored once for every layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from distilbert_common.training import MicroBatch

__all__ = ["CachedTeacher", "NumberedBatch", "Plan"]


class NumberedBatch(NamedTuple):
    """A micro batch, and which tokens of its step it has.

    Attributes:
        batch: The micro batch.
        numbers: (batch, seq) int32, the number of each token among all those of the step, however these are divided
            among micro batches and processes; below 0 where there is none. None where nobody asked for them.
    """

    batch: MicroBatch
    numbers: NDArray[np.int32] | None


class Plan(Protocol):
    """Which rows each step takes."""

    @property
    def steps(self) -> int:
        """How many steps an epoch has, the same in each."""
        ...

    def micro_batches(self, step: int, *, numbered: bool) -> list[NumberedBatch]:
        """Return the micro batches of a step, those of this process.

        Args:
            step: The number of the step, over all epochs.
            numbered: Whether their tokens are numbered.
        """
        ...


class CachedTeacher(Protocol):
    """What a teacher gave for the first steps."""

    @property
    def steps(self) -> int:
        """How many steps; those after them repeat them, with their rows and masks."""
        ...

    def read(self, step: int, numbers: NDArray[np.integer]) -> Mapping[str, NDArray[Any]]:
        """Return `MicroBatch.teacher` for the tokens of these numbers, (batch, seq, …) each; 0 where there is none."""
        ...
