"""Events of a run from the process where it is to the one that shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from distilbert_tasks.training.progress import OnProgress, Progress

__all__ = ["Relay"]

_SELDOM = 0.25
"""Seconds between two events that only say how far a run is."""


@dataclass
class Relay:
    """A queue of events.

    Attributes:
        queue: That of Ray.
    """

    queue: Any
    _last: float = field(default=0.0, init=False)

    @classmethod
    def new(cls) -> Relay:
        """Make one, in the program that shows events."""
        from ray.util.queue import Queue

        return cls(Queue(actor_options={"num_cpus": 0}))

    def send(self, event: Any) -> None:
        """Send an event; few of those that come after each step."""
        if isinstance(event, Progress):
            if monotonic() < self._last + _SELDOM and event.step < event.steps:
                return
            self._last = monotonic()
        self.queue.put_nowait(event)

    def show(self, tell: OnProgress, seconds: float = 0.0) -> None:
        """Tell the events that are there, and wait for the first of them so long."""
        from ray.util.queue import Empty

        try:
            tell(self.queue.get(timeout=seconds) if seconds else self.queue.get_nowait())
            while True:
                tell(self.queue.get_nowait())
        except Empty:
            return
