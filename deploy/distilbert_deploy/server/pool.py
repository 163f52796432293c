"""Several workers: processes with a model each, which compute what one server accepts.

The connections are the server's. What a worker computes when it dies gets 503 from the server, and a new worker takes
its place.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from distilbert_deploy.server.batcher import BatchFacts
from distilbert_deploy.server.failures import RequestFailure
from distilbert_deploy.server.formats import Payload
from distilbert_deploy.server.lifecycle import RETRY_AFTER
from distilbert_deploy.server.record import Record
from distilbert_deploy.server.remote import RemoteWorker
from distilbert_deploy.server.settings import Settings
from distilbert_deploy.server.worker import STARTUP_FAILURE

__all__ = ["WorkerPool"]

_LOGGER = logging.getLogger(__name__)
MAX_EARLY_DEATHS = 5
"""So many workers in a row may die before they are ready; then the cause is not a worker's."""


class WorkerPool:
    """Keeps workers running, and gives each request to the one with the fewest.

    Args:
        settings: Those of the server.
        on_batch: Told of each batch.

    Attributes:
        failed: Whether workers could not start, so that no more are started.
    """

    def __init__(self, settings: Settings, on_batch: Callable[[BatchFacts], None]) -> None:
        self._settings, self._on_batch = settings, on_batch
        self._workers: dict[int, RemoteWorker] = {}
        self._facts: Mapping[str, Any] = {}
        self._numbers = itertools.count()
        self._early_deaths = 0
        self._started, self.failed = asyncio.Event(), False

    async def start(self) -> None:
        """Start all workers, and wait until one is ready, or cannot be."""
        self._keepers = [asyncio.create_task(self._keep(place)) for place in range(self._settings.workers)]
        await self._started.wait()

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is told of the model."""
        return self._facts

    @property
    def ready_workers(self) -> int:
        """How many workers take requests."""
        return sum(worker.is_ready for worker in self._workers.values())

    async def predict(self, payload: Payload, record: Record, reserve: Callable[[int], None]) -> bytes:
        """Return what answers a request.

        Raises:
            RequestFailure: It cannot be answered, no worker is ready, or the one that had it died.
        """
        ready = [worker for worker in self._workers.values() if worker.is_ready]
        if not ready:
            raise RequestFailure(503, "no worker is ready; try again", RETRY_AFTER)
        worker = min(ready, key=lambda worker: (worker.load, worker.last))
        return await worker.predict(next(self._numbers), payload, record)

    async def close(self) -> None:
        """Let all workers end, and kill those that do not."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def _keep(self, place: int) -> None:
        """Run a worker, and another one in its place when it is gone."""
        while not self.failed:
            worker = self._workers[place] = RemoteWorker(self._settings, self._on_batch, self._note_ready)
            try:
                await worker.run()
            except OSError as error:
                _LOGGER.error("a worker could not be started: %s", error)
            self._early_deaths = 0 if worker.was_ready else self._early_deaths + 1
            if worker.status == STARTUP_FAILURE or self._early_deaths >= MAX_EARLY_DEATHS:
                _LOGGER.error("worker %s could not start (status %s), so all stop", worker.pid, worker.status)
                self.failed = True
                self._started.set()
                return
            _LOGGER.warning("worker %s ended with status %s and is replaced", worker.pid, worker.status)
            await asyncio.sleep(self._early_deaths)

    def _note_ready(self, facts: Mapping[str, Any]) -> None:
        self._facts = facts
        self._started.set()
