"""Processes that take turns on one machine, so that each meets the same load and the ratio of their speeds is fair."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

__all__ = ["Interval", "active_seconds", "on_cores", "run_in_turns"]

Interval = tuple[float, float]
"""When a process began to run, and when it was stopped: seconds since the epoch."""


def run_in_turns(processes: Mapping[str, subprocess.Popen[bytes]], turn: float) -> dict[str, list[Interval]]:
    """Let processes run one at a time, a turn each, to their ends.

    Args:
        processes: By name, just started.
        turn: Seconds.

    Returns:
        When each of them ran.
    """
    intervals: dict[str, list[Interval]] = {name: [] for name in processes}
    for process in processes.values():
        process.send_signal(signal.SIGSTOP)
    try:
        while running := [name for name, process in processes.items() if process.poll() is None]:
            for name in running:
                intervals[name].append(_take_turn(processes[name], turn))
    finally:
        for process in processes.values():
            if process.poll() is None:
                process.kill()
    return intervals


def _take_turn(process: subprocess.Popen[bytes], turn: float) -> Interval:
    start = time.time()
    process.send_signal(signal.SIGCONT)
    try:
        process.wait(turn)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGSTOP)
    return start, time.time()


def active_seconds(intervals: Sequence[Interval], start: float, end: float) -> float:
    """Return how long a process ran between two times."""
    return sum(max(0.0, min(end, stop) - max(start, begin)) for begin, stop in intervals)


def on_cores(command: Sequence[str], cores: int | None) -> list[str]:
    """Return a command that may use the first so many cores; all, where that is None."""
    return [*command] if cores is None else ["taskset", "--cpu-list", f"0-{cores - 1}", *command]
