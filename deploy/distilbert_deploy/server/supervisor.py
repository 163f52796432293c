"""Several workers: uvicorn's supervisor, which replaces a worker that died or hangs and stops all of them in peace."""

from __future__ import annotations

import logging
import time
from socket import socket
from typing import Any

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from distilbert_deploy.server.worker import DrainingServer, WorkerConfig

__all__ = ["Supervisor"]

_LOGGER = logging.getLogger(__name__)
HANGS_AFTER = 120.0
"""Seconds without a sign of life after which a worker is replaced; importing a framework blocks one for some."""
MAX_EARLY_DEATHS = 5
"""So many workers in a row may die before they are ready; then the cause is not a worker's."""


class Worker(Process):  # type: ignore[misc]  # uvicorn's types are not followed
    """A worker process, asked for signs of life without waiting for them."""

    def __init__(self, config: WorkerConfig, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self.was_ready = False
        self._asked: float | None = None

    @property
    def server(self) -> Any:
        """The server, made in the worker."""
        if self._server is None:  # type: ignore[has-type]
            self._server = DrainingServer(self.config)
        return self._server

    def hangs(self) -> bool:
        """Return whether it did not answer for too long; asks again where it did."""
        try:
            if self._asked is not None and self.parent_conn.poll(0):
                self.was_ready |= bool(self.parent_conn.recv())
                self._asked = None
            if self._asked is None:
                self.parent_conn.send(b"ping")
                self._asked = time.monotonic()
        except (OSError, EOFError):
            return False
        return time.monotonic() - self._asked > HANGS_AFTER


class Supervisor(Multiprocess):  # type: ignore[misc]  # uvicorn's types are not followed
    """Keeps the workers running.

    Attributes:
        failed: Whether workers could not start, so that all was stopped.
    """

    def __init__(self, config: WorkerConfig, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self.failed = False
        self._early_deaths = 0

    def init_processes(self) -> None:
        """Start all workers."""
        self.processes = [self._start() for _ in range(self.processes_num)]

    def _start(self) -> Worker:
        worker = Worker(self.config, self.sockets)
        worker.start()
        return worker

    def keep_subprocess_alive(self) -> None:
        """Replace workers that died or hang."""
        for index, worker in enumerate(self.processes):
            if self.should_exit.is_set() or (worker.process.is_alive() and not worker.hangs()):
                continue
            worker.kill()
            worker.join()
            mark_process_dead(worker.pid)
            self._early_deaths = 0 if worker.was_ready else self._early_deaths + 1
            if worker.exitcode == STARTUP_FAILURE or self._early_deaths >= MAX_EARLY_DEATHS:
                _LOGGER.error("worker %s could not start (status %s), so all stop", worker.pid, worker.exitcode)
                self.failed = True
                self.should_exit.set()
                return
            _LOGGER.warning("worker %s ended with status %s and is replaced", worker.pid, worker.exitcode)
            self.processes[index] = self._start()

    def terminate_all(self) -> None:
        """Let all workers drain; whoever still connects is refused once they are done."""
        for one in self.sockets:
            one.close()
        super().terminate_all()

    def join_all(self) -> None:
        """Wait for the workers, no longer than the grace period and some seconds."""
        deadline = time.monotonic() + self.config.settings.grace + 5
        for worker in self.processes:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                _LOGGER.error("worker %s did not stop, and is killed", worker.pid)
                worker.process.kill()
                worker.process.join()

    def handle_hup(self) -> None:
        """Stop, as a single worker does when its terminal is closed."""
        self.should_exit.set()

    def handle_ttin(self) -> None:
        """Leave the number of workers as it is."""

    def handle_ttou(self) -> None:
        """Leave the number of workers as it is."""
