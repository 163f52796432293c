"""Sources of options, one before the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distilbert_common.tokenization.settings import ROLES

_NULL_COUNTS = frozenset({"strip_accents", *ROLES})
"""Options of which null is a value, and does not mean that nothing is said."""


class Layers:
    """Sources of options, the ones that decide first.

    Args:
        layers: Name and options of each source.
    """

    def __init__(self, layers: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        self._layers = layers

    def find(self, name: str) -> tuple[Any, str] | None:
        """Return the value of an option and the name of its source, or None; null counts for a few only."""
        for source, options in self._layers:
            if name in options and (options[name] is not None or name in _NULL_COUNTS):
                return options[name], source
        return None

    def get(self, name: str, default: Any) -> Any:
        """Return the value of an option, or the default."""
        located = self.find(name)
        return default if located is None else located[0]

    def options(self, source: str) -> Mapping[str, Any]:
        """Return the options of a source, empty if it has none."""
        return dict(self._layers).get(source, {})
