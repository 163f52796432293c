"""The machine that figures are measured on, what a process holds of its memory, and the files of figures."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = [
    "forget_peak",
    "kilobytes",
    "processor",
    "read_figures",
    "units_of",
    "usable_cores",
    "versions_of",
    "write_figures",
]


def processor() -> str:
    """Return the name of the processor."""
    return _of_processor("model name") or "unknown"


def units_of(names: Iterable[str]) -> list[str]:
    """Return which of some units, as "avx2", the processor has."""
    flags = _of_processor("flags").split()
    return [name for name in names if name in flags]


def _of_processor(field: str) -> str:
    """Return what Linux says of the first core; "" where it says nothing."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def kilobytes(field: str, process: int | str = "self") -> int:
    """Return a figure of a process: VmRSS, what it holds now, or VmHWM, the most it held since `forget_peak`."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    (figure,) = re.findall(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(figure)


def forget_peak() -> None:
    """Count the peak of this process from here."""
    Path("/proc/self/clear_refs").write_text("5")


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of packages."""
    return {name: metadata.version(name) for name in packages}


def read_figures(path: Path, none_yet: dict[str, Any]) -> dict[str, Any]:
    """Return the figures in a file, or what to begin with where there is no such file."""
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else none_yet
    return figures


def write_figures(path: Path, figures: dict[str, Any]) -> None:
    """Write figures into a file, from which the pages are made."""
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
