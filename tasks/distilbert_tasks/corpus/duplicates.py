"""Texts seen before, told by hashes in sorted arrays: 8 bytes a text, where a set takes about 70."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SeenTexts"]

Hashes = NDArray[np.uint64]


class SeenTexts:
    """The hashes of all texts so far.

    Hashes have 64 bits: that any two of a hundred million texts share one has a chance of 1 in 3,700.
    """

    def __init__(self) -> None:
        self._runs: list[Hashes] = []  # sorted, each larger than the next one, so that there are few

    def add(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Take the hashes of the next texts, and return which occur for the first time: both (texts,)."""
        is_new = np.zeros(len(hashes), np.bool_)
        unique, first = np.unique(hashes, return_index=True)
        seen = np.zeros(len(unique), np.bool_)
        for run in self._runs:
            indices = np.minimum(np.searchsorted(run, unique), len(run) - 1)
            seen |= run[indices] == unique
        is_new[first[~seen]] = True
        self._insert(unique[~seen])
        return is_new

    def _insert(self, run: Hashes) -> None:
        while self._runs and len(self._runs[-1]) <= len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")  # timsort's merge of two sorted runs
        if len(run):
            self._runs.append(run)
