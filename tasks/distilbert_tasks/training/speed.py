"""How fast a run is, over its latest steps."""

from __future__ import annotations

from collections import deque
from time import perf_counter

__all__ = ["Speed"]

_STEPS = 50


class Speed:
    """Rows and seconds of the latest steps; the pauses between them do not count."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, float]] = deque(maxlen=_STEPS)
        self._started = perf_counter()

    def start(self) -> None:
        """Begin to count anew, after a pause."""
        self._started = perf_counter()

    def add(self, rows: float) -> None:
        """Count a step of so many rows, which ends now."""
        now = perf_counter()
        self._steps.append((rows, now - self._started))
        self._started = now

    @property
    def rows_per_second(self) -> float:
        """Rows a second."""
        return sum(rows for rows, _ in self._steps) / self._seconds

    @property
    def seconds_per_step(self) -> float:
        """Seconds that a step takes."""
        return self._seconds / max(1, len(self._steps))

    @property
    def _seconds(self) -> float:
        return max(1e-9, sum(seconds for _, seconds in self._steps))
