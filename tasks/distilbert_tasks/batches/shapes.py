"""The few shapes that batches are rounded up to, so that compiled code is reused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distilbert_common.buckets import bucket
from distilbert_common.constants import MIN_ROW_LENGTH
from distilbert_tasks.batches.fitting import fitting_length
from distilbert_tasks.features import Features

__all__ = ["Shapes", "power_of_two", "round_length"]

LENGTH_MULTIPLE = 8
"""Lengths are multiples of this, which GPUs compute fast."""

ROW_STEPS = 8
"""Into how many steps the average number of packed rows is divided, to which other numbers are rounded up."""


@dataclass(frozen=True)
class Shapes:
    """How sizes are rounded.

    Attributes:
        few: Whether sizes are rounded at all, but for lengths.
        longest: The most tokens in a list.
        row_length: How many tokens a packed row holds; None where it is what fits the lists of the batch.
        typical_rows: How many rows a packed batch needs on average; none is given fewer.
        typical_segments: How many lists a row of most packed batches holds at most.
    """

    few: bool
    longest: int
    row_length: int | None
    typical_rows: int = 1
    typical_segments: int = 1

    @classmethod
    def of(cls, features: Features, few: bool, row_length: int | None, batches: float) -> Shapes:
        """Return the shapes for features that make about so many micro batches."""
        longest = int(features.input_ids.sizes.max(initial=1))
        length = round_length(longest) if row_length is None else max(row_length, longest)
        if not few or not len(features):
            return cls(False, longest, None if row_length is None else length)
        rows = -(-int(features.sizes.sum()) // int(np.ceil(batches * length)))
        segments = 3 * len(features.input_ids) / batches / rows
        return cls(True, longest, length, rows, power_of_two(int(np.ceil(segments))))

    def packed_length(self, sizes: Sequence[NDArray[np.int32]]) -> int:
        """Return the length of packed rows for the lists of each process."""
        return self.row_length or fitting_length(sizes, LENGTH_MULTIPLE)

    def rows(self, rows: int) -> int:
        """Return how many packed rows a batch has that needs so many."""
        if not self.few or rows > 2 * self.typical_rows:
            return bucket(rows) if self.few else max(rows, 1)
        multiple = max(1, self.typical_rows // ROW_STEPS)
        return -(-max(rows, self.typical_rows) // multiple) * multiple

    def segments(self, segments: int) -> int:
        """Return how many segments a packed row has room for."""
        return max(power_of_two(segments), self.typical_segments) if self.few else max(segments, 1)

    def padded_length(self, longest: int) -> int:
        """Return the length of padded rows, which is never above that of the longest list of all."""
        length = bucket(longest, MIN_ROW_LENGTH) if self.few else longest
        return min(round_length(length), max(self.longest, longest))


def round_length(length: int) -> int:
    """Round a length up to a multiple of `LENGTH_MULTIPLE`."""
    return -(-length // LENGTH_MULTIPLE) * LENGTH_MULTIPLE


def power_of_two(number: int) -> int:
    """Round a number up to a power of two."""
    return 1 << max(0, number - 1).bit_length()
