"""What a worker of a benchmark reports: when its steps were done, how much they did, and the most memory in use."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tasks_turns import Interval, active_seconds

__all__ = ["Meter", "read_rates"]


class Meter:
    """Counts what steps did; those of the warm-up come before the measurement.

    Args:
        path: Where to report.
        warm_up: How many steps do not count.
    """

    def __init__(self, path: Path, warm_up: int) -> None:
        self.path, self.warm_up = path, warm_up
        self.steps, self.count, self.begin, self.processor = 0, 0, 0.0, 0.0

    def step(self, count: int) -> None:
        """Note that a step is done, with so many examples or tokens."""
        self.steps += 1
        if self.steps == self.warm_up:
            self.begin, self.processor = time.time(), time.process_time()
        elif self.steps > self.warm_up:
            self.count += count

    def finish(self) -> None:
        """Report."""
        unit = 1 if sys.platform == "darwin" else 1024
        facts = {
            "begin": self.begin,
            "end": time.time(),
            "processor": time.process_time() - self.processor,
            "steps": self.steps - self.warm_up,
            "count": self.count,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        }
        self.path.write_text(json.dumps(facts), encoding="utf-8")


def read_rates(path: Path, intervals: Sequence[Interval], counted: str) -> dict[str, float]:
    """Return the rates and the memory of a worker that took turns.

    Args:
        path: What its `Meter` wrote.
        intervals: When it ran.
        counted: What its steps have, as "tokens".
    """
    result = json.loads(path.read_text(encoding="utf-8"))
    seconds = active_seconds(intervals, result["begin"], result["end"])
    return {
        f"{counted}_per_second": result["count"] / seconds,
        f"{counted}_per_processor_second": result["count"] / result["processor"],
        "steps": result["steps"],
        "peak_bytes": result["peak_bytes"],
    }
