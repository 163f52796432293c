"""Counting the changes of modules and configs, so that what was read of a model need not be compared with it.

Every change has a number of its own. As long as the latest number is the one that was read, nothing has changed in any
model; where it is another one, the numbers of the model's own modules tell whether the change was theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from flax import nnx

__all__ = ["Module", "count_change", "latest_change", "latest_changes"]

_numbers = count(1)
_latest = 0
_latest_of: WeakKeyDictionary[nnx.Module, int] = WeakKeyDictionary()


def count_change(module: nnx.Module | None = None) -> None:
    """Say that a module has changed, or something else that a model is read from."""
    global _latest
    number = next(_numbers)
    if module is not None:
        _latest_of[module] = number
    _latest = number


def latest_change() -> int:
    """Return the number of the latest change of all."""
    return _latest


def latest_changes(modules: Iterable[nnx.Module | None]) -> tuple[int | None, ...]:
    """Return the number of the latest change of each module; None for one that no longer is."""
    return tuple(None if module is None else _latest_of.get(module, 0) for module in modules)


class Module(nnx.Module):
    """An NNX module whose changes are counted: whatever sets or deletes an attribute, as `train()` and `eval()` do."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, nnx.Module):
            value = nnx.data(value)
        elif callable(value) and not nnx.is_data(value):  # NNX would take a function in a layer's place for a value
            value = nnx.static(value)
        super().__setattr__(name, value)
        count_change(self)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        count_change(self)

    def _graph_node_init(self, attributes: Iterable[tuple[str | int, Any]]) -> None:
        """Take over attributes. `nnx.jit` and its kin write past `__setattr__`, and nothing public tells of it."""
        super()._graph_node_init(attributes)
        count_change(self)
