"""Buckets: the few sizes that inputs are rounded up to, so that compiled code is reused."""

from __future__ import annotations

__all__ = ["STEPS", "bucket", "buckets"]

STEPS = 4
"""How many buckets there are between a size and its double; so many leave at most a quarter empty."""


def bucket(size: int, smallest: int = 1, largest: int | None = None) -> int:
    """Round a size up to its bucket: 4, 5, 6 or 7 times a power of two.

    Args:
        size: At least 1.
        smallest: No bucket is smaller.
        largest: No bucket is larger, as the number of positions for a length; sizes above it stay as they are.
    """
    size = max(size, smallest)
    if size <= STEPS:
        return size
    step = 1 << (size - 1).bit_length() - STEPS.bit_length()
    rounded = -(-size // step) * step
    return rounded if largest is None else max(size, min(rounded, largest))


def buckets(most: int, smallest: int = 1, largest: int | None = None) -> list[int]:
    """Return all buckets of the sizes 1 to `most`: as many programs as are compiled, whatever sizes come."""
    return sorted({bucket(size, smallest, largest) for size in range(1, most + 1)})
