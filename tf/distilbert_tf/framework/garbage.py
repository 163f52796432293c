"""Freeing models that nobody holds any more.

Each layer of Keras holds itself, by the functions that Keras puts around its `build` and `quantize`. Only Python's
collector frees such a model, and it counts objects, of which a large model has as few as a small one: half a dozen
would wait in memory, and TensorFlow keeps for itself what it once had to take from the system.
"""

from __future__ import annotations

import gc

__all__ = ["count_weights", "free_models"]

ENOUGH = 10_000_000
"""Weights that are worth a collection, which takes about as long as to make them."""

_made = 0


def count_weights(number: int) -> None:
    """Remember that a model with so many weights has been made."""
    global _made
    _made += number


def free_models() -> None:
    """Free the models that nobody holds, if many weights have been made since; for when the next ones are to be."""
    global _made
    if _made >= ENOUGH:
        _made = 0
        gc.collect()
