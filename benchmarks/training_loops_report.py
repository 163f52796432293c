"""What both sides of `training_loops.py` report: when steps were done, and the most memory that was in use."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["Meter"]


class Meter:
    """Counts the steps of a loop; those of the warm-up begin the measurement.

    Args:
        rows: What `rows.json` holds.
        path: Where to report.
    """

    def __init__(self, rows: dict[str, Any], path: Path) -> None:
        self.batch, self.warm_up, self.path = rows["batch"], rows["warm_up"], path
        self.steps, self.begin, self.processor = 0, 0.0, 0.0

    def step(self) -> None:
        """Note that a step is done."""
        self.steps += 1
        if self.steps == self.warm_up:
            self.begin, self.processor = time.time(), time.process_time()

    def finish(self) -> None:
        """Report."""
        unit = 1 if sys.platform == "darwin" else 1024
        facts = {
            "begin": self.begin,
            "end": time.time(),
            "processor": time.process_time() - self.processor,
            "examples": (self.steps - self.warm_up) * self.batch,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        }
        self.path.write_text(json.dumps(facts), encoding="utf-8")
