"""A trial: a run of fine-tuning with its own options, in a folder of its own, that tells its evaluations as they come.

What a trial has measured is in its folder. One that goes on, after it was killed or the whole search was, tells that
first, so that whoever compares trials knows what they knew before.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError
from distilbert_common.files import read_json, write_text
from distilbert_tasks.metrics import LESS_IS_BETTER
from distilbert_tasks.training.history import read_history
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.output import CHECKPOINTS
from distilbert_tasks.training.progress import Evaluation, Progress
from distilbert_tasks.training.record import RunRecord

__all__ = ["Outcome", "Trial", "better", "run_trial"]

_STOPPED, _FAILED = "stopped.json", "failed.json"
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Trial:
    """A trial.

    Attributes:
        number: Which it is, from 0.
        folder: Where it writes.
        options: What it tries.
    """

    number: int
    folder: Path
    options: Mapping[str, Any]

    def end(self) -> None:
        """Write down that a trial was stopped, unless it came to its end; checkpoints go, as it will not go on."""
        if self.outcome("").status == "running" and self.folder.exists():
            write_text(self.folder / _STOPPED, "{}")
        shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)

    def outcome(self, metric: str) -> Outcome:
        """Return what came of it so far."""
        record = RunRecord.read(self.folder)
        lines = [line for line in read_history(self.folder) if line["kind"] == "validation"]
        status, reason = "running", ""
        if record is not None and record.metrics is not None:
            status = "finished"
        elif (self.folder / _FAILED).exists():
            status, reason = "failed", str(read_json(self.folder / _FAILED)["reason"])
        elif (self.folder / _STOPPED).exists():
            status = "stopped early"
        points = [(line["step"], line[metric]) for line in lines if line.get(metric) is not None]
        return Outcome(self.number, dict(self.options), status, tuple(points), reason)


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        number: Which it is.
        options: What it tried.
        status: "finished", "stopped early", "failed" or "running".
        points: (step, metric) of each evaluation.
        reason: Why it failed.
    """

    number: int
    options: Mapping[str, Any]
    status: str
    points: tuple[tuple[int, float], ...]
    reason: str = ""

    def best(self, metric: str) -> float | None:
        """Return its best value; None where there is none."""
        values = [value for _, value in self.points]
        if not values:
            return None
        return min(values) if metric in LESS_IS_BETTER else max(values)


def better(metric: str, value: float) -> float:
    """Return a figure that is higher the better a value of a metric is."""
    return -value if metric in LESS_IS_BETTER else value


def run_trial(
    trial: Trial, metric: str, run_arguments: Mapping[str, Any], report: Report, *, metric_for_best: str | None = None
) -> None:
    """Train, and report each evaluation but the last, after which there is nothing to stop.

    Args:
        trial: Which.
        metric: The metric to report.
        run_arguments: Arguments of `distilbert_tasks.finetune`, the same for all trials.
        report: Who is told; a trial that is to stop does not come back from there.
        metric_for_best: The metric to choose weights by; None for the task's own.
    """
    (trial.folder / _FAILED).unlink(missing_ok=True)
    before = trial.outcome(metric)
    reporter = _EvaluationReporter(metric, report)
    for step, value in before.points:
        reporter.tell(step, value)
    if before.status != "running":
        return
    from distilbert_tasks import finetune

    options = TrainingOptions(**trial.options, metric_for_best=metric_for_best)
    try:
        finetune(**run_arguments, out=trial.folder, options=options, resume=True, on_progress=reporter)
    except InputError as error:
        trial.folder.mkdir(parents=True, exist_ok=True)
        write_text(trial.folder / _FAILED, json.dumps({"reason": str(error)}))


class _EvaluationReporter:
    """Reports evaluations, each step once."""

    def __init__(self, metric: str, report: Report) -> None:
        self._metric, self._report = metric, report
        self._last_step = 0
        self._steps: int | None = None

    def __call__(self, event: Any) -> None:
        if isinstance(event, Progress):
            self._steps = event.steps
        if isinstance(event, Evaluation) and self._metric in event.metrics and event.step != self._steps:
            self.tell(event.step, event.metrics[self._metric])

    def tell(self, step: int, value: float) -> None:
        """Report the value after a step."""
        if step > self._last_step:
            self._last_step = step
            self._report({"score": better(self._metric, value), "value": value, "step": step})
