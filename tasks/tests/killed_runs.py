"""Runs that end as if they were killed, in the test's own process, and what such a run must come to in the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distilbert_tasks.training.history import read_history
from distilbert_tasks.training.progress import Event

__all__ = ["content", "killed"]


class Killed(BaseException):
    """Stands for what ends a process here, so that the test need not start a new one."""


def killed(run: Callable[..., Any], is_moment: Callable[[Event], bool]) -> None:
    """Run until an event, at which the run is killed.

    Args:
        run: Takes `on_progress`.
        is_moment: Whether it is that event.
    """

    def kill(event: Event) -> None:
        if is_moment(event):
            raise Killed

    with pytest.raises(Killed):
        run(on_progress=kill)


def content(folder: Path) -> dict[str, Any]:
    """Return what a run is compared by: weights, optimizer, tokens, and what was measured."""
    lines = [{**line, "examples_per_second": 0} for line in read_history(folder)]
    files = [*folder.glob("*.safetensors"), *folder.glob("checkpoints/*/*.safetensors"), *folder.glob("corpus/*.npy")]
    return {"lines": lines, "files": {str(path.relative_to(folder)): path.read_bytes() for path in files}}
