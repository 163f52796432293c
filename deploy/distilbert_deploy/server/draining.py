"""uvicorn's server, which drains on SIGTERM and then ends with status 0."""

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
from distilbert_deploy.server.model import ServedModel
from distilbert_deploy.server.protocol import TimedProtocol
from distilbert_deploy.server.settings import Settings
from distilbert_deploy.server.worker import SWITCH_INTERVAL

__all__ = ["DrainingServer", "ServerConfig"]

_LOGGER = logging.getLogger(__name__)
KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than load balancers keep theirs, which use them again."""
ACCEPTS, LINGERS = 0.5, 0.8
"""Seconds after the signal until a server refuses what comes, with 503, and until it may close its socket: what clients
sent before they could know is answered."""


class ServerConfig(uvicorn.Config):  # type: ignore[misc]  # uvicorn's types are not followed
    """What uvicorn is told.

    Args:
        settings: Those of the server.
        load: Returns the model, where it is in this process.
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
        )
        self.settings = settings
        self.client_seconds = settings.body_timeout


class DrainingServer(uvicorn.Server):  # type: ignore[misc]  # uvicorn's types are not followed
    """A server that answers what it accepted before it stops.

    On SIGTERM it is not ready at once, and soon after refuses new requests, with 503 and not by closing its socket,
    until the last answer is sent or the grace period is over. A second SIGINT ends it at once.

    Attributes:
        failed: Whether it stopped because workers could not start.
    """

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(config)
        self._settings = config.settings
        self._stopping_since: float | None = None
        self.failed = False

    def run(self, sockets: Any = None) -> None:
        """Serve until a signal comes."""
        sys.setswitchinterval(SWITCH_INTERVAL)
        super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain."""
        if not self.started:  # the model is still being loaded, and nothing was accepted
            os._exit(0)
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            self._app.lifecycle.state = State.DRAINING
        elif sig == signal.SIGINT:
            self.force_exit = self.should_exit = True

    @property
    def _app(self) -> Application:
        app: Application = self.config.loaded_app
        return app

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop, ten times a second."""
        self.failed = self._app.failed
        if self.failed or await super().on_tick(counter):
            return True
        if self._stopping_since is None:
            return False
        seconds = time.monotonic() - self._stopping_since
        if seconds > self._settings.grace:
            _LOGGER.error("%d requests were not answered within the grace period", self._app.lifecycle.responding)
            return True
        if seconds > ACCEPTS:
            self._app.lifecycle.state = State.CLOSING
        return seconds > LINGERS and self._app.lifecycle.responding == 0
