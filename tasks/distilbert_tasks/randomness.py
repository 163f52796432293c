"""Random numbers that are the same on every machine and with every NumPy: made of a generator's raw bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["epoch_order", "permutation", "uniform"]


def epoch_order(seed: int, epoch: int, rows: int) -> NDArray[np.int64]:
    """Return the order in which an epoch takes the rows, (rows,): a function of the arguments alone."""
    return permutation((seed, epoch), rows)


def permutation(seed: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """Return the numbers from 0 to below `count` in an order that depends on a seed; zeros at its end count nothing."""
    return np.argsort(_raw(seed, count), kind="stable").astype(np.int64)


def uniform(seed: tuple[int, ...], count: int) -> NDArray[np.float64]:
    """Return numbers from 0 to below 1, (count,)."""
    return (_raw(seed, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53  # a float64 holds 53 bits


def _raw(seed: tuple[int, ...], count: int) -> NDArray[np.uint64]:
    raw: NDArray[np.uint64] = np.random.Philox(np.random.SeedSequence(seed)).random_raw(count)
    return raw
