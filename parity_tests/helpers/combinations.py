"""Which combinations of parameters are tested: every two values together, or with `make test-all` all combinations."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Any

ALL = "DISTILBERT_TEST_ALL"
"""The environment variable that asks for all combinations, as `make test-all` sets it."""


def combinations(*lists: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return combinations of the values of several parameters, in which every two values meet.

    What breaks is a value, or two that meet; three that only fail together have a test of their own where we know them.

    Args:
        lists: The values of each parameter.
    """
    positions = list(itertools.product(*map(range, map(len, lists))))
    if os.environ.get(ALL, "0") == "0":
        positions = _meeting(positions)
    return [tuple(values[at] for values, at in zip(lists, row, strict=True)) for row in positions]


def _meeting(rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return rows in which every two values meet: the one that adds most pairs, until there are none."""
    pairs_of = {row: set(itertools.combinations(enumerate(row), 2)) for row in rows}
    missing = set().union(*pairs_of.values())
    chosen = []
    while missing:
        chosen.append(max(rows, key=lambda row: len(pairs_of[row] & missing)))
        missing -= pairs_of[chosen[-1]]
    return sorted(chosen)
