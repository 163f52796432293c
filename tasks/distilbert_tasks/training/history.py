"""What a run measured, line by line, in `metrics.jsonl` and for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from distilbert_common.files import write_text
from distilbert_tasks.training.state import TrainingState

__all__ = ["METRICS_FILENAME", "TENSORBOARD", "History", "read_history"]

METRICS_FILENAME = "metrics.jsonl"

TENSORBOARD = "runs"
"""The folder for TensorBoard, in that of the run."""


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of `metrics.jsonl`; one that a kill cut short is left out."""
    path = folder / METRICS_FILENAME
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    values = map(_parsed, lines)
    return [value for value in values if value is not None]


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and {"kind", "step"} <= set(value) else None


class History:
    """The record of a run in its folder; what a run wrote after its last checkpoint is dropped.

    Args:
        folder: The output folder.
        state: Where the run goes on from.
        tensorboard: Whether to write for TensorBoard too, into `runs`.
    """

    def __init__(self, folder: Path, state: TrainingState, tensorboard: bool = True) -> None:
        last = {"train": state.step, "validation": state.evaluated}
        self.lines = [line for line in read_history(folder) if line["step"] <= last[line["kind"]]]
        self._path = folder / METRICS_FILENAME
        write_text(self._path, "".join(_as_line(line) for line in self.lines))
        self._writer = _writer(folder / TENSORBOARD, state.step) if tensorboard else None

    def add(self, kind: str, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """Record values.

        Args:
            kind: "train" or "validation".
            step: After how many steps.
            epoch: After how many epochs.
            values: By name; those that are not finite become null.
        """
        line = {"kind": kind, "step": step, "epoch": round(epoch, 4), **values}
        self.lines.append(line)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_as_line(line))
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Write what TensorBoard's file still waits for."""
        if self._writer is not None:
            self._writer.close()


def _as_line(line: Mapping[str, Any]) -> str:
    plain = {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in line.items()}
    return json.dumps(plain) + "\n"


def _writer(folder: Path, step: int) -> Any:
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
