"""Messages between the server and a worker process, over a socket that only these two have."""

from __future__ import annotations

import asyncio
import pickle
import socket
from contextlib import suppress
from typing import Any

__all__ = ["Channel"]

LENGTH_BYTES = 8


class Channel:
    """One end of the socket; what ends the process at the other end also ends the channel."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, connected: socket.socket) -> Channel:
        """Return the channel over a connected socket."""
        return cls(*await asyncio.open_connection(sock=connected))

    def send(self, *message: Any) -> None:
        """Send a message without waiting: the event loop writes it, and drops it where nobody reads any more."""
        if not self._writer.is_closing():
            content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
            self._writer.write(len(content).to_bytes(LENGTH_BYTES, "little") + content)

    async def receive(self) -> tuple[Any, ...] | None:
        """Return the next message; None once the other end is closed."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            length = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES), "little")
            message: tuple[Any, ...] = pickle.loads(await self._reader.readexactly(length))
            return message
        return None

    def close(self) -> None:
        """Close this end."""
        self._writer.close()
