"""A worker process as the server sees it: what was sent to it, what comes back, and that it died."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections.abc import Callable, Mapping
from typing import Any

from distilbert_deploy.server.batcher import BatchFacts
from distilbert_deploy.server.channel import Channel
from distilbert_deploy.server.failures import RequestFailure
from distilbert_deploy.server.formats import Payload
from distilbert_deploy.server.lifecycle import RETRY_AFTER
from distilbert_deploy.server.record import Record
from distilbert_deploy.server.settings import Settings
from distilbert_deploy.server.worker import run_worker

__all__ = ["RemoteWorker"]

HANGS_AFTER = 120.0
"""Seconds without a sign of life after which a worker is killed; importing a framework blocks one for some."""
ENDS_WITHIN = 5.0
"""Seconds that a worker has to end once its channel is closed."""


class RemoteWorker:
    """One worker process.

    Args:
        settings: Those of the server.
        on_batch: Told of each batch.
        on_ready: Told what the model is, once it is loaded.

    Attributes:
        is_ready: Whether it takes requests.
        was_ready: Whether it ever did.
        last: The number of the last request that it got.
    """

    def __init__(
        self,
        settings: Settings,
        on_batch: Callable[[BatchFacts], None],
        on_ready: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._settings, self._on_batch, self._on_ready = settings, on_batch, on_ready
        self.is_ready = self.was_ready = False
        self.last = -1
        self._signs = 0
        self._waiting: dict[int, tuple[asyncio.Future[bytes], Record]] = {}

    @property
    def load(self) -> int:
        """How many requests it has."""
        return len(self._waiting)

    @property
    def pid(self) -> int | None:
        """The id of the process."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The status that it ended with; below 0 for a signal."""
        return self._process.exitcode

    async def run(self) -> None:
        """Start the process, and take what it sends until it is gone; cancelled, let it end."""
        server_end, worker_end = socket.socketpair()
        self._process = multiprocessing.get_context("spawn").Process(
            target=run_worker, args=(self._settings, worker_end), daemon=True
        )
        self._process.start()
        worker_end.close()
        self._channel = await Channel.open(server_end)
        watcher = asyncio.create_task(self._kill_if_it_hangs())
        try:
            while (message := await self._channel.receive()) is not None:
                self._signs += 1
                self._handle(*message)
        finally:
            watcher.cancel()
            self._give_up()
            await self._end()

    async def predict(self, number: int, payload: Payload, record: Record) -> bytes:
        """Return what answers a request.

        Args:
            number: Its number, of all requests of the server.
            payload: The body of the request.
            record: Where times and sizes are noted.

        Raises:
            RequestFailure: It cannot be answered, or the worker died.
        """
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer, record
        self.last = number
        self._channel.send("predict", number, payload)
        try:
            return await answer
        finally:
            if self._waiting.pop(number, None) is not None:
                self._channel.send("cancel", number)

    def _handle(self, kind: str, *content: Any) -> None:
        """Take a message."""
        if kind == "done":
            self._give_outcome(*content)
        elif kind == "batch":
            self._on_batch(*content)
        elif kind == "ready":
            self.is_ready = self.was_ready = True
            self._on_ready(*content)

    def _give_outcome(self, number: int, outcome: Any, items: int, tokens: int, steps: dict[str, float]) -> None:
        """Give a request what came of it, unless nobody waits for it any more."""
        if number not in self._waiting:
            return
        answer, record = self._waiting.pop(number)
        record.items, record.tokens, record.steps = items, tokens, steps
        if answer.done():
            return
        if isinstance(outcome, bytes):
            answer.set_result(outcome)
        else:
            answer.set_exception(RequestFailure(*outcome))

    def _give_up(self) -> None:
        """Refuse what the worker had: nobody knows how far it came."""
        self.is_ready = False
        for answer, _ in self._waiting.values():
            if not answer.done():
                answer.set_exception(
                    RequestFailure(503, "the worker that had this request died; send it again", RETRY_AFTER)
                )
        self._waiting.clear()

    async def _kill_if_it_hangs(self) -> None:
        """Kill the process after a time without a sign: twice half of it, as the server may have been held up too."""
        silences, signs_before = 0, self._signs
        while silences < 2:
            await asyncio.sleep(HANGS_AFTER / 2)
            silences, signs_before = (silences + 1 if self._signs == signs_before else 0), self._signs
        self._process.kill()

    async def _end(self) -> None:
        """Close the channel, wait until the process ends, and kill it if it does not."""
        self._channel.close()
        await asyncio.to_thread(self._process.join, ENDS_WITHIN)
        if self._process.is_alive():
            self._process.kill()
            await asyncio.to_thread(self._process.join)
