"""`distilbert serve` in a process of its own, on a free port, and clients that talk to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PATIENCE", "Loader", "ServerProcess", "raw", "server"]

PATIENCE = 60
"""Seconds after which something hangs; no test waits so long where all is well."""


@dataclass
class ServerProcess:
    """A server that was started.

    Attributes:
        process: Its process.
        port: Where it listens.
        lines: Its log so far.
    """

    process: subprocess.Popen[str]
    port: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)

    def read(self, message: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until the log has so many lines with a message, and return them."""
        deadline = time.monotonic() + 3 * PATIENCE
        while time.monotonic() < deadline:
            lines = [line for line in self.lines if message in line["message"]]
            if len(lines) >= count:
                return lines
            time.sleep(0.02)
        raise AssertionError(f"no {message!r} in {self.lines}")

    def follow(self) -> None:
        """Read the log until the process ends."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line) if line.startswith("{") else {"message": line.rstrip()})

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask for a path."""
        return self.send("GET", path)

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Send a request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, {"content-type": "application/json"} if content else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def stop(self) -> int:
        """Send SIGTERM, and return the status that the process ends with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def server(model: str | os.PathLike[str], *options: str, workers: int = 1) -> Iterator[ServerProcess]:
    """Start a server, and wait until each worker is ready; what is left of it at the end is killed."""
    command = [sys.executable, "-m", "distilbert_cli.main", "serve", os.fspath(model), "--port", "0", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [*command, "--workers", str(workers)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    started = ServerProcess(process)
    reader = threading.Thread(target=started.follow, daemon=True)
    reader.start()
    try:
        started.port = started.read("listening at")[0]["port"]
        started.read("ready", workers)
        yield started
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(PATIENCE)
        reader.join(PATIENCE)


@dataclass
class Loader:
    """A client that sends one request after the other, each on a connection that it keeps if it can.

    Attributes:
        port: Where to.
        pause: Seconds between an answer and the next request.
        outcomes: For each request when it was sent, in seconds of `time.monotonic`, and its status; 0 where the
            connection was refused or closed.
    """

    port: int
    pause: float = 0.0
    outcomes: list[tuple[float, int]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send until told to stop, or until nobody listens."""
        body = json.dumps({"inputs": ["I lost my card", "How do I change my PIN?"]})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        while not self.stopping.wait(self.pause):
            try:
                if connection.sock is None:
                    connection.connect()
            except OSError:
                break
            status = 0
            sent = time.monotonic()
            try:
                connection.request("POST", "/predict", body, {"content-type": "application/json"})
                sent = time.monotonic()
                response = connection.getresponse()
                response.read()
                status = response.status
            except (http.client.HTTPException, ConnectionError):
                connection.close()
            self.outcomes.append((sent, status))
        connection.close()


def raw(port: int, content: bytes, *, then_close: bool = False) -> bytes:
    """Send bytes as they are, and return all that comes until the server closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        try:
            connection.sendall(content)
            if then_close:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionError:  # closed with our bytes unread
            pass
    return received
