"""Clients that load a server: HTTP/1.1 on connections that are kept, one request after the other on each."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

__all__ = ["load", "send"]

HEAD = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


async def load(port: int, sentences: Sequence[str], clients: int, seconds: float) -> dict[str, Any]:
    """Send sentences, one a request, for some seconds.

    Args:
        port: Where the server listens.
        sentences: What is sent, over and over.
        clients: How many connections send at once.
        seconds: For how long.

    Returns:
        `latencies` of answers in seconds, how many requests `failed`, and the `seconds` that it took.
    """
    bodies = (json.dumps({"inputs": text}).encode() for text in cycle(sentences))
    start = time.perf_counter()
    runs = await asyncio.gather(*(_client(port, bodies, start + seconds) for _ in range(clients)))
    return {
        "latencies": [latency for latencies, _ in runs for latency in latencies],
        "failed": sum(failed for _, failed in runs),
        "seconds": time.perf_counter() - start,
    }


async def _client(port: int, bodies: Iterator[bytes], until: float) -> tuple[list[float], int]:
    """Send one request after the other, and return their latencies and how many failed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    latencies, failed = [], 0
    try:
        while (begin := time.perf_counter()) < until:
            status, _ = await send(reader, writer, next(bodies))
            if status == 200:
                latencies.append(time.perf_counter() - begin)
            else:
                failed += 1
    finally:
        writer.close()
    return latencies, failed


async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> tuple[int, bytes]:
    """Send a request, and return status and body of its answer."""
    writer.write(HEAD % len(body) + body)
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
    return int(lines[0].split()[1]), await reader.readexactly(length)
