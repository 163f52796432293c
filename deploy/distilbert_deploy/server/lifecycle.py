"""Where a server stands: which state it is in, how much it has accepted, and whether it takes more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

from distilbert_deploy.server.failures import RequestFailure

__all__ = ["Lifecycle", "State"]

RETRY_AFTER, CLOSE = {"Retry-After": "1"}, {"Connection": "close"}


class State(Enum):
    """What a server is doing.

    One that was told to stop is draining, and no longer ready: what was on its way is still accepted, but connections
    are closed after their answers. Once balancers have had time to see it, it is closing, and refuses what comes.
    """

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    CLOSING = "closing"


class Lifecycle:
    """The state of one worker; all of it belongs to the thread of the event loop.

    Args:
        max_queue: How many requests may be accepted and not yet answered.
        max_bytes: How many bytes the requests that are not answered yet may hold.

    Attributes:
        state: What the worker is doing.
        responding: How many requests of any kind are not answered yet.
        accepted: How many requests for predictions wait or are computed.
    """

    def __init__(self, max_queue: int, max_bytes: int) -> None:
        self.state = State.LOADING
        self.responding = 0
        self.accepted = 0
        self._max_queue, self._max_bytes = max_queue, max_bytes
        self._bytes = 0

    @property
    def is_stopping(self) -> bool:
        """Whether connections are closed after their answers."""
        return self.state in (State.DRAINING, State.CLOSING)

    @property
    def is_ready(self) -> bool:
        """Whether balancers may send requests."""
        return self.state is State.READY

    def check_open(self) -> None:
        """Require that requests are taken, before the body of one is read.

        Raises:
            RequestFailure: The worker has no model yet, is about to stop, or has all that it may accept.
        """
        if self.state is State.LOADING:
            raise RequestFailure(503, "the model is being loaded; try again", {**RETRY_AFTER, **CLOSE})
        if self.state is State.CLOSING:
            raise RequestFailure(503, "the server is about to stop; try another", {**RETRY_AFTER, **CLOSE})
        self._check_queue()

    @contextmanager
    def accept(self) -> Iterator[None]:
        """Accept a request for as long as it is answered; one whose body came by now is, also while others are not.

        Raises:
            RequestFailure: The worker has all that it may accept.
        """
        self._check_queue()
        self.accepted += 1
        try:
            yield
        finally:
            self.accepted -= 1

    def _check_queue(self) -> None:
        if self.accepted >= self._max_queue:
            raise RequestFailure(429, f"{self.accepted} requests wait already; try again", RETRY_AFTER)

    @contextmanager
    def reserving(self) -> Iterator[Callable[[int], None]]:
        """Give a function that counts bytes of a request, which are held until its answer is there.

        The function raises RequestFailure where all requests together hold too many.
        """
        reserved = 0

        def reserve(count: int) -> None:
            nonlocal reserved
            if self._bytes + count > self._max_bytes:
                raise RequestFailure(429, "the requests that wait hold too much memory; try again", RETRY_AFTER)
            self._bytes += count
            reserved += count

        try:
            yield reserve
        finally:
            self._bytes -= reserved
