"""A worker process: a model that answers what the server sends it, until the server closes their channel."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from typing import Any

from distilbert_common.errors import DistilBertError
from distilbert_deploy.server.batcher import BatchFacts
from distilbert_deploy.server.channel import Channel
from distilbert_deploy.server.failures import RequestFailure
from distilbert_deploy.server.formats import Payload
from distilbert_deploy.server.lifecycle import Lifecycle
from distilbert_deploy.server.loading import load_model
from distilbert_deploy.server.local import LocalPredictor
from distilbert_deploy.server.logs import configure_logging, log_ready
from distilbert_deploy.server.model import ServedModel
from distilbert_deploy.server.record import Record
from distilbert_deploy.server.settings import Settings

__all__ = ["SIGN_SECONDS", "STARTUP_FAILURE", "run_worker"]

_LOGGER = logging.getLogger(__name__)
STARTUP_FAILURE = 3
"""The status of a worker that would fail again."""
SIGN_SECONDS = 1.0
"""How often a worker gives a sign of life."""
SWITCH_INTERVAL = 0.001
"""Seconds after which a Python thread lets another in: the event loop waits for the computing thread no longer."""


def run_worker(settings: Settings, worker_end: socket.socket) -> None:
    """Answer requests until the server goes away.

    Args:
        settings: Those of the server.
        worker_end: The socket of the channel.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # of all processes of a group; the server says when to stop
        signal.signal(number, signal.SIG_IGN)
    configure_logging(settings.log_format)
    sys.setswitchinterval(SWITCH_INTERVAL)
    asyncio.run(_Worker(settings).run(worker_end))


class _Worker:
    """The requests that a worker computes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lifecycle = Lifecycle(settings.max_queue, settings.max_held)
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self, worker_end: socket.socket) -> None:
        """Load the model, and take messages until the channel is closed; then nobody waits for anything any more."""
        self._channel = await Channel.open(worker_end)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._load())
            group.create_task(self._give_signs())
            while (message := await self._channel.receive()) is not None:
                self._handle(*message)
            os._exit(0)

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        model = await loop.run_in_executor(None, _load_or_exit, self._settings)

        def tell(batch: BatchFacts) -> None:
            loop.call_soon_threadsafe(self._channel.send, "batch", batch)

        self._predictor = LocalPredictor(model, tell)
        log_ready(self._predictor.facts)
        self._channel.send("ready", self._predictor.facts)

    async def _give_signs(self) -> None:
        while True:
            await asyncio.sleep(SIGN_SECONDS)
            self._channel.send("alive")

    def _handle(self, kind: str, number: int, *content: Any) -> None:
        """Take a message: `predict` with a body, or `cancel`."""
        if kind == "predict":
            self._tasks[number] = asyncio.create_task(self._answer(number, *content))
        elif number in self._tasks:
            self._tasks[number].cancel()

    async def _answer(self, number: int, payload: Payload) -> None:
        """Send what answers a request, or why it cannot be answered."""
        record = Record("", "", "")
        try:
            with self._lifecycle.reserving() as reserve:
                reserve(len(payload.body))
                outcome: Any = await self._predictor.predict(payload, record, reserve)
        except RequestFailure as failure:
            outcome = failure.status, failure.message, failure.headers
        except Exception:
            _LOGGER.exception("a request failed")
            outcome = 500, "the server failed; its log says why", {}
        finally:
            del self._tasks[number]
        self._channel.send("done", number, outcome, record.items, record.tokens, record.steps)


def _load_or_exit(settings: Settings) -> ServedModel:
    """Load the model; where that fails, say why and end, so that the server does not try again."""
    try:
        return load_model(settings)
    except DistilBertError as error:
        _LOGGER.error("%s", error)
    except Exception:
        _LOGGER.exception("the model could not be loaded")
    os._exit(STARTUP_FAILURE)
