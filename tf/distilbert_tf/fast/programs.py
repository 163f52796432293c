"""Graphs by what they were traced for, a bounded number of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

__all__ = ["MAX_PROGRAMS", "SHARED", "Programs"]

MAX_PROGRAMS = 32
"""How many graphs are kept for all models together; a model with layers of its own has as many for itself."""


class Programs:
    """Graphs by what they were traced for; the one that was not used for longest makes room.

    Args:
        size: How many are kept.
    """

    def __init__(self, size: int = MAX_PROGRAMS) -> None:
        self.size = size
        self.graphs: OrderedDict[Hashable, Any] = OrderedDict()
        self.lock = Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the graph of a key, made where there is none."""
        with self.lock:
            if key in self.graphs:
                self.graphs.move_to_end(key)
                return self.graphs[key]
        graph = make()  # which may take seconds, and may call models
        with self.lock:
            self.graphs[key] = graph
            if len(self.graphs) > self.size:
                self.graphs.popitem(last=False)
        return graph


SHARED = Programs()
"""The graphs of all models that are made of this package's and Keras' layers."""
