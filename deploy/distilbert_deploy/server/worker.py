"""One worker: uvicorn's server, which drains on SIGTERM and then ends with status 0."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from distilbert_deploy.server.app import Application, create_app
from distilbert_deploy.server.lifecycle import State
from distilbert_deploy.server.logs import configure_logging
from distilbert_deploy.server.model import ServedModel
from distilbert_deploy.server.protocol import TimedProtocol
from distilbert_deploy.server.settings import Settings

__all__ = ["DrainingServer", "WorkerConfig"]

_LOGGER = logging.getLogger(__name__)
KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than load balancers keep theirs, which use them again."""
ACCEPTS, LINGERS = 0.5, 0.8
"""Seconds after the signal until a server refuses what comes, with 503, and until it may close its socket: what clients
sent before they could know is answered."""
SWITCH_INTERVAL = 0.001
"""Seconds after which a Python thread lets another in: the event loop waits for the computing thread no longer."""


class WorkerConfig(uvicorn.Config):  # type: ignore[misc]  # uvicorn's types are not followed
    """What uvicorn is told.

    Args:
        settings: Those of the server.
        load: Returns the model.
    """

    def __init__(self, settings: Settings, load: Callable[[Settings], ServedModel]) -> None:
        super().__init__(
            partial(create_app, settings, load),
            factory=True,
            http=TimedProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=1,
            workers=settings.workers,
        )
        self.settings = settings
        self.client_seconds = settings.body_timeout


class DrainingServer(uvicorn.Server):  # type: ignore[misc]  # uvicorn's types are not followed
    """A server that answers what it accepted before it stops.

    On SIGTERM it is not ready at once, and soon after refuses new requests, with 503 and not by closing its socket,
    until the last answer is sent or the grace period is over. A second SIGINT ends it at once.
    """

    def __init__(self, config: WorkerConfig) -> None:
        super().__init__(config)
        self._settings = config.settings
        self._stopping_since: float | None = None
        self._supervisor = os.getppid() if config.workers > 1 else None

    def run(self, sockets: Any = None) -> None:
        """Serve until a signal comes."""
        configure_logging(self._settings.log_format)
        sys.setswitchinterval(SWITCH_INTERVAL)
        super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain."""
        if not self.started:  # the model is still being loaded, and nothing was accepted
            os._exit(0)
        if self._stopping_since is None:
            self._drain()
        elif sig == signal.SIGINT:
            self.force_exit = self.should_exit = True

    def _drain(self) -> None:
        self._stopping_since = time.monotonic()
        self._app.lifecycle.state = State.DRAINING

    @property
    def _app(self) -> Application:
        app: Application = self.config.loaded_app
        return app

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop, ten times a second."""
        self._app.metrics.update_gauges()  # which another worker may be asked for
        if await super().on_tick(counter):
            return True
        if self._supervisor is not None and os.getppid() != self._supervisor and self._stopping_since is None:
            _LOGGER.error("the supervisor is gone, so this worker stops too")
            self._drain()
        if self._stopping_since is None:
            return False
        seconds = time.monotonic() - self._stopping_since
        if seconds > self._settings.grace:
            _LOGGER.error("%d requests were not answered within the grace period", self._app.lifecycle.responding)
            return True
        if seconds > ACCEPTS:
            self._app.lifecycle.state = State.CLOSING
        return seconds > LINGERS and self._app.lifecycle.responding == 0
