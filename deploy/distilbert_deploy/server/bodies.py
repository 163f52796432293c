"""Bodies: read within a limit and a time, of the right type, and decompressed within the same limit."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from distilbert_deploy.server.failures import RequestFailure
from distilbert_deploy.server.formats import CSV, JSON, LINES, READERS, WRITERS
from distilbert_deploy.server.lifecycle import CLOSE

__all__ = ["Body", "check_headers", "read_body"]

DISCARD_BYTES, DISCARD_SECONDS = 2**23, 1.0
_OTHER_NAMES = {"*/*": JSON, "application/*": JSON, "text/*": CSV, "application/jsonl": LINES}
LATE_SECONDS = 0.25
"""Longer than it takes to read what the system has of a body."""
GZIP = 16 + zlib.MAX_WBITS


class Clock:
    """The time that a client has to send a body; and then some for what came while this process was held up.

    Args:
        seconds: The client's time.
    """

    def __init__(self, seconds: float) -> None:
        self._end = asyncio.get_running_loop().time() + seconds
        self._is_late = False

    async def wait_for(self, receive: Receive) -> Message:
        """Return the next message.

        Raises:
            TimeoutError: It did not come in time.
        """
        while True:
            try:
                async with asyncio.timeout_at(self._end):
                    return await receive()
            except TimeoutError:
                if self._is_late:
                    raise
                self._is_late, self._end = True, asyncio.get_running_loop().time() + LATE_SECONDS


class Body:
    """The channel of a request, which knows whether its body came to the end.

    Args:
        receive: The ASGI channel.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_complete = False

    async def __call__(self) -> Message:
        """Return the next message."""
        message = await self._receive()
        self._is_complete |= not message.get("more_body", False)
        return message

    async def discard(self) -> None:
        """Read on for a while and keep nothing: a client that is still sending when it is refused sees no answer."""
        size = 0
        clock = Clock(DISCARD_SECONDS)
        with suppress(TimeoutError):
            while not self._is_complete and size < DISCARD_BYTES:
                size += len((await clock.wait_for(self)).get("body", b""))


def check_headers(headers: Mapping[str, str], max_body: int) -> tuple[str, str]:
    """Return which type a body has and which its answer is to have.

    Raises:
        RequestFailure: The body cannot be read, or the client takes no answer that can be written.
    """
    kind = headers.get("content-type", JSON).partition(";")[0].strip().lower()
    kind = _OTHER_NAMES.get(kind, kind)
    if kind not in READERS:
        raise RequestFailure(415, f"the body is {kind[:60]!r}; send {', '.join(READERS)}", CLOSE)
    if headers.get("content-encoding", "identity").strip().lower() not in ("identity", "gzip"):
        raise RequestFailure(415, "the body is compressed in an unknown way; send it as it is, or as gzip", CLOSE)
    accept = _accepted(headers.get("accept", ""))
    if accept is None:
        raise RequestFailure(406, f"answers are {', '.join(WRITERS)}; accept one of them", CLOSE)
    length = headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 18 or int(length) > max_body):
        raise RequestFailure(413, f"the body has {length[:30]} bytes; send at most {max_body}", CLOSE)
    return kind, accept


async def read_body(
    receive: Receive, headers: Mapping[str, str], reserve: Callable[[int], None], max_body: int, seconds: float
) -> bytes:
    """Read a body to its end.

    Args:
        receive: The ASGI channel.
        headers: Those of the request.
        reserve: Told of the bytes that are held; raises where there are too many.
        max_body: How many bytes it may have, before and after it is decompressed.
        seconds: How long the client may take.

    Raises:
        RequestFailure: It is too large, comes too slowly, or is no valid gzip.
        ClientDisconnect: The client went away.
    """
    chunks: list[bytes] = []
    size, clock, message = 0, Clock(seconds), {"more_body": True}
    while message.get("more_body", False):
        try:
            message = await clock.wait_for(receive)
        except TimeoutError:
            raise RequestFailure(408, f"the body did not come within {seconds:g} seconds", CLOSE) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        if size + len(chunk) > max_body:
            raise RequestFailure(413, f"the body has more than {max_body} bytes; send at most that", CLOSE)
        reserve(len(chunk))
        size += len(chunk)
        chunks.append(chunk)
    body = b"".join(chunks)
    if headers.get("content-encoding", "").strip().lower() == "gzip":
        body = _decompressed(body, max_body)
        reserve(len(body))
    return body


def _accepted(accept: str) -> str | None:
    """Return the type of answer that an Accept header likes best; None where it allows none."""
    if not accept.strip():
        return JSON
    weights: dict[str, float] = {}
    for part in accept.split(","):
        kind, _, parameters = part.partition(";")
        kind = _OTHER_NAMES.get(kind.strip().lower(), kind.strip().lower())
        if kind in WRITERS:
            weights[kind] = max(weights.get(kind, 0.0), _weight(parameters))
    best = max(weights, key=lambda kind: weights[kind], default=JSON)
    return best if weights.get(best) else None


def _weight(parameters: str) -> float:
    """Return the q of a part of an Accept header: from 0, which forbids, to 1, also where it is none."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == "q":
            with suppress(ValueError):
                return min(1.0, max(0.0, float(value)))
    return 1.0


def _decompressed(body: bytes, max_body: int) -> bytes:
    """Decompress gzip, no further than the limit.

    Raises:
        RequestFailure: It is larger, or no gzip.
    """
    reader = zlib.decompressobj(GZIP)
    try:
        content = reader.decompress(body, max_body + 1)
    except zlib.error as error:
        raise RequestFailure(400, f"the body is no valid gzip: {error}") from None
    if len(content) > max_body:
        raise RequestFailure(413, f"the body has more than {max_body} bytes once decompressed; send at most that")
    if not reader.eof or reader.unused_data:
        raise RequestFailure(400, "the body is no valid gzip: it ends too early, or goes on after its end")
    return content
