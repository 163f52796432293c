"""What a worker of the tasks' table is told, and what it reports: a file each, and a line for each step."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Report", "Settings", "Step", "Training"]


@dataclass(frozen=True)
class Training:
    """How a model is trained on a data set.

    Attributes:
        epochs: How often each row is seen.
        learning_rate: The highest; linear to 0 after a warm-up.
        max_length: The most tokens in a row.
        columns: Those of the files that are not found by their names.
        batch_size: Rows in a step.
        seed: What the order of the rows depends on.
        weight_decay: AdamW's.
        warmup_ratio: The share of the steps in which the learning rate rises.
    """

    epochs: float
    learning_rate: float
    max_length: int
    columns: dict[str, Any] | None = None
    batch_size: int = 32
    seed: int = 0
    weight_decay: float = 0.01
    warmup_ratio: float = 0.1


@dataclass(frozen=True)
class Settings:
    """One training run, the same for every implementation.

    Attributes:
        task: The task's name.
        model: The checkpoint to start from, its head included.
        train: The training file.
        validation: The file that the metric is measured on.
        folder: Where the run may write.
        training: How the model is trained.
    """

    task: str
    model: str
    train: str
    validation: str
    folder: str
    training: Training

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Return what a file says."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "training": Training(**fields["training"])})

    def write(self, path: Path) -> None:
        """Write the file that a worker reads."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


class Step(NamedTuple):
    """A step that is done.

    Attributes:
        at: When, in seconds since the epoch.
        processor: The processor time of the process until then, all threads together.
        number: The number of the step.
    """

    at: float
    processor: float
    number: int


class Report:
    """What a worker reports into its folder.

    Args:
        folder: That of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.steps = folder / "steps.txt"
        self.result = folder / "result.json"

    def clear(self) -> None:
        """Remove what an earlier run left."""
        for path in (self.steps, self.result):
            path.unlink(missing_ok=True)

    def step(self, number: int) -> None:
        """Note that a step is done now, and what processor time the process has taken so far."""
        with self.steps.open("a", encoding="utf-8") as file:
            file.write(f"{time.time():.4f} {time.process_time():.4f} {number}\n")

    def finish(self, metrics: dict[str, float], versions: dict[str, str]) -> None:
        """Write what came of the run."""
        result = {"metrics": metrics, "versions": versions}
        self.result.write_text(json.dumps(result), encoding="utf-8")

    def times(self) -> list[Step]:
        """Return when each step was done."""
        lines = (line.split() for line in self.steps.read_text(encoding="utf-8").splitlines())
        return [Step(float(at), float(processor), int(number)) for at, processor, number in lines]
