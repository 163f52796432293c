"""A model in this process: its batches, and the threads that tokenize and decode."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from distilbert_common.errors import InputError
from distilbert_deploy.server.batcher import Batcher, BatchFacts, Work
from distilbert_deploy.server.failures import RequestFailure
from distilbert_deploy.server.formats import Payload
from distilbert_deploy.server.model import Prepared, ServedModel
from distilbert_deploy.server.record import Record

__all__ = ["LocalPredictor"]

ROUNDS, SETTLE_SECONDS = 3, 0.02
"""A round reads what has arrived, the next begins to answer it; a third is for what arrived meanwhile."""
TOKEN_BYTES = 64
"""About what a token takes until its request is answered: its id, where it stands in the text, what it is."""
SMALL_BODY = 1024
LIGHT_TASKS = ("text-classification", "token-classification")
"""A body so small is tokenized, and its answer written, where it is: to hand it to a thread takes longer. Other tasks
may make much of a short text, as labels by the hundred or all hidden states."""


class LocalPredictor:
    """A loaded model that answers requests; made in the event loop that asks it.

    Args:
        model: The model.
        on_batch: Told of each batch, in the computing thread.
    """

    ready_workers, failed = 1, False

    def __init__(self, model: ServedModel, on_batch: Callable[[BatchFacts], None]) -> None:
        self._model = model
        settle = partial(_settle, asyncio.get_running_loop())
        self._batcher = Batcher(model.compute, model.pipeline.tokens_per_batch, on_batch, settle)
        self._threads = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="encode")

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is told of the model."""
        return self._model.facts

    async def close(self) -> None:
        """Stop the threads, once they have done what they have to do."""
        self._threads.shutdown()
        self._batcher.close()

    async def predict(self, payload: Payload, record: Record, reserve: Callable[[int], None]) -> bytes:
        """Return what answers a request.

        Args:
            payload: The body of the request.
            record: Where times and sizes are noted.
            reserve: Told of the bytes that are held; raises where there are too many.

        Raises:
            RequestFailure: It cannot be answered.
        """
        is_small = len(payload.body) <= SMALL_BODY and self._model.pipeline.task in LIGHT_TASKS
        begin = time.monotonic()
        try:
            prepared = await self._call(is_small, partial(self._model.prepare, payload))
        except InputError as error:
            raise RequestFailure(422, str(error)) from None
        record.items, record.tokens = len(prepared.encoded), prepared.tokens
        reserve(TOKEN_BYTES * prepared.tokens)
        record.steps["encode"] = time.monotonic() - begin
        work = await self._compute(prepared)
        record.steps["queue"], record.steps["compute"] = work.started - work.arrived, work.finished - work.started
        begin = time.monotonic()
        content: bytes = await self._call(is_small, partial(self._model.write_answer, prepared, work.outputs))
        record.steps["decode"] = time.monotonic() - begin
        return content

    async def _call(self, is_small: bool, function: Callable[[], Any]) -> Any:
        """Call a function here, or in a thread if it may take long."""
        if is_small:
            return function()
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    async def _compute(self, prepared: Prepared) -> Work:
        """Wait until the model has computed a request."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        work = Work(prepared.token_lists, on_done=lambda work: _tell(loop, done))
        self._batcher.submit(work)
        try:
            await done
        finally:
            work.is_cancelled = True  # of no effect on one that is done
        if work.error is not None:
            raise RequestFailure(500, "the model failed on this request; the log of the server says why")
        return work


def _settle(loop: asyncio.AbstractEventLoop) -> None:
    """Wait until the event loop has gone round some times: what it has received is then tokenized and submitted."""
    settled = threading.Event()

    def go_round(times: int) -> None:
        if times:
            loop.call_soon(go_round, times - 1)
        else:
            settled.set()

    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(go_round, ROUNDS)
        settled.wait(SETTLE_SECONDS)


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[None]) -> None:
    """Wake a request, from another thread."""

    def resolve() -> None:
        if not done.done():
            done.set_result(None)

    if not loop.is_closed():
        loop.call_soon_threadsafe(resolve)
