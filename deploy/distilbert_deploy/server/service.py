"""What answers requests for predictions: accepted, within their time, and no longer than their clients wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from distilbert_deploy.server.failures import RequestFailure
from distilbert_deploy.server.formats import Payload
from distilbert_deploy.server.lifecycle import Lifecycle
from distilbert_deploy.server.metrics import Metrics
from distilbert_deploy.server.record import Record
from distilbert_deploy.server.settings import Settings

__all__ = ["Predictor", "Service"]


class Predictor(Protocol):
    """A model that answers requests: in this process, or in processes of its own."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is told of the model."""

    @property
    def ready_workers(self) -> int:
        """How many models can answer now."""

    @property
    def failed(self) -> bool:
        """Whether it cannot answer any more."""

    async def predict(self, payload: Payload, record: Record, reserve: Callable[[int], None]) -> bytes:
        """Return what answers a request; cancelled, it is not computed any more."""

    async def close(self) -> None:
        """Stop."""


class Service:
    """Answers requests.

    Args:
        predictor: What computes them.
        settings: Those of the server.
        lifecycle: Where accepted requests are counted.
        metrics: Where steps are noted.
    """

    def __init__(self, predictor: Predictor, settings: Settings, lifecycle: Lifecycle, metrics: Metrics) -> None:
        self.predictor, self._settings, self._lifecycle, self._metrics = predictor, settings, lifecycle, metrics

    async def predict(
        self, payload: Payload, receive: Receive, record: Record, reserve: Callable[[int], None]
    ) -> bytes:
        """Return what answers a request.

        Args:
            payload: The body of the request.
            receive: Tells when the client goes away.
            record: Where times and sizes are noted.
            reserve: Told of the bytes that are held; raises where there are too many.

        Raises:
            RequestFailure: It cannot be answered.
            ClientDisconnect: The client went away.
        """
        seconds = self._settings.timeout - (time.monotonic() - record.start)
        with self._lifecycle.accept():
            try:
                async with asyncio.timeout(seconds), _while_client_waits(receive):
                    content = await self.predictor.predict(payload, record, reserve)
            except TimeoutError:
                raise RequestFailure(
                    504, f"the answer took longer than {self._settings.timeout:g} seconds; send less at once, or later"
                ) from None
        self._note(record)
        return content

    def _note(self, record: Record) -> None:
        self._metrics.tokens(record.tokens)
        for step, seconds in record.steps.items():
            self._metrics.step(step, seconds)


@asynccontextmanager
async def _while_client_waits(receive: Receive) -> AsyncIterator[None]:
    """Cancel what is inside when the client goes away.

    Raises:
        ClientDisconnect: It went away.
    """
    task = asyncio.current_task()
    assert task is not None
    is_gone = False

    async def watch() -> None:
        nonlocal is_gone
        while (await receive())["type"] != "http.disconnect":
            pass
        is_gone = True
        task.cancel()

    watcher = asyncio.get_running_loop().create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if is_gone and not task.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        watcher.cancel()
