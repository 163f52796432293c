"""Dynamic batching: one thread computes what waits, of all requests together, up to a budget of tokens.

Nothing waits for a batch to fill: while one is computed, the next gathers, and with it what the event loop has at hand
by then, which of small models makes batches several times as large. Requests take turns in order of arrival; of
one that is larger than the budget, a part is computed, and the next part comes after what waited meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BatchFacts", "Batcher", "Work"]

_LOGGER = logging.getLogger(__name__)

TokenLists = Sequence[Sequence[int]]


@dataclass(eq=False)
class Work:
    """The token lists of one request on their way through the model.

    Attributes:
        token_lists: What is computed.
        on_done: Called in the computing thread when it is done, or has failed.
        outputs: What the model gave for each list so far.
        error: Why it failed; None where it did not.
        is_cancelled: Whether nobody waits for it any more.
        arrived: When it came, in seconds of `time.monotonic`.
        started: When its first list was computed.
        finished: When its last list was.
    """

    token_lists: TokenLists
    on_done: Callable[[Work], None]
    outputs: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    is_cancelled: bool = False
    arrived: float = field(default_factory=time.monotonic)
    started: float = 0.0
    finished: float = 0.0


@dataclass(frozen=True)
class BatchFacts:
    """What was computed at once.

    Attributes:
        requests: Of how many requests.
        lists: How many token lists.
        tokens: How many tokens.
        seconds: How long it took.
    """

    requests: int
    lists: int
    tokens: int
    seconds: float


class Batcher:
    """Takes the token lists of requests, and computes them in a thread of its own.

    Args:
        compute: Returns the outputs of token lists.
        tokens_per_batch: How many tokens are computed at once, about.
        on_batch: Told of each batch, in the computing thread.
        settle: Called before a batch is taken; returns once requests that are here already have been submitted.
    """

    def __init__(
        self,
        compute: Callable[[TokenLists], list[Any]],
        tokens_per_batch: int,
        on_batch: Callable[[BatchFacts], None] | None = None,
        settle: Callable[[], None] | None = None,
    ) -> None:
        self._compute, self._tokens_per_batch = compute, tokens_per_batch
        self._on_batch = on_batch or (lambda batch: None)
        self._settle = settle or (lambda: None)
        self._waiting: deque[Work] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="compute", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> None:
        """Put the lists of a request into the queue."""
        with self._changed:
            self._waiting.append(work)
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def close(self) -> None:
        """Compute what waits, and stop."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while self._wait():
            self._settle()
            with self._changed:
                parts = self._next_parts()
            if parts:
                self._compute_parts(parts)

    def _wait(self) -> bool:
        """Wait for work; return False when all is done and closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            return bool(self._waiting)

    def _next_parts(self) -> list[tuple[Work, TokenLists]]:
        """Take lists from the front of the queue up to the budget, at least one; what is left of a request is last."""
        parts: list[tuple[Work, TokenLists]] = []
        budget, unfinished = self._tokens_per_batch, None
        while self._waiting and budget > 0 and unfinished is None:
            work = self._waiting[0]
            if work.is_cancelled:
                self._waiting.popleft()
                continue
            lists = _fitting(work.token_lists[len(work.outputs) :], budget, not parts)
            if not lists:
                break
            self._waiting.popleft()
            parts.append((work, lists))
            budget -= sum(map(len, lists))
            unfinished = work if len(work.outputs) + len(lists) < len(work.token_lists) else None
        if unfinished is not None:
            self._waiting.append(unfinished)
        return parts

    def _compute_parts(self, parts: Sequence[tuple[Work, TokenLists]]) -> None:
        """Compute the lists of some requests together; where that fails, each by itself, so that one fails alone."""
        start = time.monotonic()
        for work, _ in parts:
            work.started = work.started or start
        lists = [one for _, some in parts for one in some]
        try:
            outputs = self._compute(lists)
        except Exception as error:
            if len(parts) > 1:
                _LOGGER.warning("a batch of %d requests failed, and each is computed by itself", len(parts))
                for part in parts:
                    self._compute_parts([part])
                return
            self._fail(parts[0][0], error)
            return
        end = time.monotonic()
        self._on_batch(BatchFacts(len(parts), len(lists), sum(map(len, lists)), end - start))
        self._hand_out(parts, outputs, end)

    def _hand_out(self, parts: Sequence[tuple[Work, TokenLists]], outputs: Sequence[Any], end: float) -> None:
        first = 0
        for work, lists in parts:
            work.outputs.extend(outputs[first : first + len(lists)])
            first += len(lists)
            if len(work.outputs) == len(work.token_lists):
                work.finished = end
                work.on_done(work)

    def _fail(self, work: Work, error: BaseException) -> None:
        """Give a request up."""
        _LOGGER.exception("a request could not be computed", exc_info=error)
        work.error, work.is_cancelled, work.finished = error, True, time.monotonic()
        work.on_done(work)


def _fitting(lists: TokenLists, budget: int, at_least_one: bool) -> TokenLists:
    """Return the first lists that are within a budget of tokens together."""
    total = 0
    for number, one in enumerate(lists):
        total += len(one)
        if total > budget:
            return lists[: max(number, int(at_least_one))]
    return lists
