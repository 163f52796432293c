"""Stopping a run from outside: the first signal asks for it, the second one ends the process at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interruption", "interruptible"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Whether somebody asked for the end of the run."""

    def __init__(self) -> None:
        self.is_requested = False

    def request(self, number: int = signal.SIGINT, frame: FrameType | None = None) -> None:
        """Ask for it; the second time, raise at once.

        Raises:
            KeyboardInterrupt: It was asked for before.
        """
        if self.is_requested:
            raise KeyboardInterrupt("stopped at once; what was done since the last checkpoint is lost")
        self.is_requested = True


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Give an interruption that Ctrl-C and SIGTERM ask for; elsewhere than in the main thread nothing does."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.signal(number, interruption.request) for number in _SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
