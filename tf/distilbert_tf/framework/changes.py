"""Counting the changes of layers, so that what was read of a model need not be compared with it.

As long as the count is the one that was read, no attribute of any layer has been set since.
"""

from __future__ import annotations

from itertools import count
from typing import Any

import keras

__all__ = ["count_change", "count_changes_of", "number_of_changes"]

_numbers = count(1)
_changes = 0


def number_of_changes() -> int:
    """Return how often an attribute of a layer whose changes are counted has been set."""
    return _changes


def count_change(name: str, value: Any) -> tuple[str, Any]:
    """Count that an attribute is set, and return it; Keras' notes for itself, as `_called`, do not count."""
    global _changes
    if not name.startswith("_"):
        _changes = next(_numbers)
    return name, value


def count_changes_of(layer: keras.layers.Layer) -> None:
    """Count whatever is set on a layer from now on.

    Tools look for exactly Keras' own classes, so that these cannot be subclasses which count, and Keras has no public
    way to be told. `_setattr_hook` is what each layer calls before it sets an attribute.
    """
    vars(layer)["_setattr_hook"] = count_change
