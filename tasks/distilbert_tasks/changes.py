"""What is not as it was, in words: for errors where a run or a corpus was begun otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["changes"]


def changes(before: Mapping[str, Any], now: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return a few words for each of these names whose value is another now; one that is absent has None."""
    pairs = ((name, before.get(name), now.get(name)) for name in names)
    return [f"{name} was {old!r} and is {new!r}" for name, old, new in pairs if old != new]
