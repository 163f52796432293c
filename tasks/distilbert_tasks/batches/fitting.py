"""The length of packed rows that leaves least to compute, where every batch may have a shape of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_LENGTH", "fitting_length", "row_cost", "rows_needed"]

MOST_LISTS = 256
"""With more lists than these, rows of any length are nearly full, and trying lengths takes time."""

MOST_LENGTH = 512
"""No row is made longer than this for the sake of fitting, as the cost of attention grows with its length."""

TRIES = 8
"""How many numbers of rows are tried."""

LINEAR_COST = 1536
"""What a token costs besides attention, in tokens attended to.

By arithmetic it is 6 times the width; this is 4 times one of 384, as attention is slower than its arithmetic.
"""


def fitting_length(sizes: Sequence[NDArray[np.int32]], multiple: int) -> int:
    """Return the length of packed rows that leaves least to compute.

    Args:
        sizes: The sizes of the lists of each process, (lists,) each; all processes have rows of one length.
        multiple: What lengths are a multiple of.
    """
    parts = [sorted(part.tolist(), reverse=True) for part in sizes]
    longest = max((part[0] for part in parts if part), default=1)
    shortest = -(-longest // multiple) * multiple
    tokens = max(map(sum, parts))
    if max(map(len, parts)) > MOST_LISTS or tokens <= shortest:
        return shortest
    most, fewest = -(-tokens // shortest), -(-tokens // max(shortest, MOST_LENGTH))
    lengths = {shortest}
    for rows in np.unique(np.linspace(fewest, most, TRIES).round().astype(int)):
        exact = max(shortest, -(-tokens // (int(rows) * multiple)) * multiple)
        lengths |= {length for length in range(exact, exact + 3 * multiple, multiple) if length <= MOST_LENGTH}
    return min(sorted(lengths), key=lambda length: _cost(parts, length))


def _cost(parts: Sequence[Sequence[int]], length: int) -> int:
    return row_cost(max(rows_needed(part, length) for part in parts), length)


def row_cost(rows: int, length: int) -> int:
    """Return what rows of a length cost, in tokens times tokens attended to."""
    return rows * length * (LINEAR_COST + length)


def rows_needed(sizes: Sequence[int], length: int) -> int:
    """Return how many rows lists take, the longest list first, each in the first row with room.

    Args:
        sizes: How many tokens each list has, in falling order.
        length: How many tokens a row holds.
    """
    room: list[int] = []
    for size in sizes:
        row = next((row for row, left in enumerate(room) if left >= size), None)
        if row is None:
            room.append(length - size)
        else:
            room[row] -= size
    return len(room)
