"""Work in processes of their own, which are killed at a moment: a step of Python towards a folder."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from parity_tests.helpers.crash_injection import Clock, forked

__all__ = ["FolderClock", "content", "killed_at_any_moment", "together"]


class FolderClock(Clock):
    """Kills the process at a moment, counted from 1, of its steps in a folder and of calls of `tick`."""

    def __init__(self, folder: Path, moment: int) -> None:
        self.folder = str(folder)
        super().__init__()
        self.moment, self.action = moment, lambda: os.kill(os.getpid(), signal.SIGKILL)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if arguments and str(arguments[0]).startswith(self.folder):
            super().hear(event, arguments)


def content(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def killed_at_any_moment(
    root: Path, work: Callable[[Path, Callable[..., None]], Any], every: int = 1
) -> Iterator[tuple[int, Path]]:
    """Yield folders in which work was killed, at each moment until there are no more.

    Args:
        root: Where the folders are to be.
        work: Does it in a folder, and calls what it is given between its steps.
        every: How many moments lie between two of these.
    """
    for moment in range(1, 10_000, every):
        folder = root / str(moment)
        if not _is_killed(folder, work, moment):
            return
        yield moment, folder
    raise AssertionError("the work has no end")


def _is_killed(folder: Path, work: Callable[[Path, Callable[..., None]], Any], moment: int) -> bool:
    def run() -> int:
        work(folder, FolderClock(folder, moment).tick)
        return 0

    code = os.waitstatus_to_exitcode(os.waitpid(forked(run), 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def together(*works: Callable[[], int]) -> list[int]:
    """Do several things at the same time, and return the status of each."""
    processes = [forked(work) for work in works]
    return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
