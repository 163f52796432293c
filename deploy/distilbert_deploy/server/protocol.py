"""HTTP/1.1 for clients that are slow on purpose: each has a time to send its headers and to take its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from distilbert_deploy.server.failures import error_body

__all__ = ["TimedProtocol"]

ROUNDS = 2
"""A late event loop looks at its clocks before it reads: what is there is read in the first round."""


class TimedProtocol(H11Protocol):  # type: ignore[misc]  # uvicorn's types are not followed
    """uvicorn's protocol with these times; that of the body is watched where bodies are read.

    The config has `client_seconds`, how long a client may take for each.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_timer: asyncio.Handle | None = None
        self._write_timer: asyncio.Handle | None = None
        self._lingers = False

    def connection_made(self, transport: Any) -> None:
        """Wait for the headers of the first request."""
        super().connection_made(transport)
        self._start("_header_timer", self._abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a header, unless a request is complete and being answered."""
        if self._lingers:
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel("_header_timer")
        elif self._header_timer is None and not self.transport.is_closing():
            self._start("_header_timer", self._abort)

    def on_response_complete(self) -> None:
        """Watch that what is still in the buffer is taken."""
        if self.transport.get_write_buffer_size() and self._write_timer is None:
            self._start("_write_timer", self._abort_unsent)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Watch that the client takes what the buffer is full of."""
        super().pause_writing()
        if self._write_timer is None:
            self._start("_write_timer", self._abort)

    def resume_writing(self) -> None:
        """Go on."""
        self._cancel("_write_timer")
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as everything else is answered, and close once the client has read it.

        A socket that is closed with something unread in it takes the answer back from a client that still sends.
        """
        body = error_body(400, "this is no HTTP/1.1 request, or its headers are too long")
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        events = [h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()]
        try:
            for event in events:
                self.transport.write(self.conn.send(event))
        except h11.LocalProtocolError:  # in the middle of an answer
            self.transport.abort()
        self._cancel("_header_timer")
        if self.transport.is_closing():
            return
        self._lingers = True
        self.transport.write_eof()
        self.transport.resume_reading()
        self._start("_header_timer", self._abort)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle for too long."""
        self._read_first("timeout_keep_alive_task", super().timeout_keep_alive_handler)

    def _start(self, name: str, function: Callable[[], None]) -> None:
        """Call a function when the client's time is over."""
        read_first = partial(self._read_first, name, function)
        setattr(self, name, self.loop.call_later(self.config.client_seconds, read_first))

    def _read_first(self, name: str, function: Callable[[], None], rounds: int = ROUNDS) -> None:
        """Call a function once what came while this process was held up is read, unless that stops the clock."""
        if rounds:
            setattr(self, name, self.loop.call_soon(self._read_first, name, function, rounds - 1))
        else:
            function()

    def _cancel(self, name: str) -> None:
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)

    def _stop_timers(self) -> None:
        self._cancel("_header_timer")
        self._cancel("_write_timer")

    def _abort(self) -> None:
        """End a connection whose client took too long."""
        self.transport.abort()

    def _abort_unsent(self) -> None:
        """End a connection that still has an answer in its buffer."""
        self._write_timer = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()
