"""Hostile requests by the thousand: which statuses they get, whether the server still answers, and whether it grows.

Bodies that are huge, cut off, deeply nested, of wrong types, no UTF-8, gzip bombs; headers by the thousand, wrong
lengths and chunks, clients that send slowly or do not read. Connections may be closed without an answer only where the
request never came to its end.

Usage: python benchmarks/hostile_requests.py [--model DIR] [--requests 10000] [--seed 1] [--at-once 16]
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from machine import kilobytes
from serving import ROOT, base_environment, port_of

Maker = Callable[[random.Random], bytes]
TYPE = b"content-type: application/json\r\n"


def post(body: bytes, headers: bytes = TYPE, length: int | None = None) -> bytes:
    """Return a request."""
    size = len(body) if length is None else length
    return b"POST /predict HTTP/1.1\r\nhost: x\r\n%scontent-length: %d\r\n\r\n%s" % (headers, size, body)


def as_json(value: object) -> bytes:
    """Return a request with JSON."""
    return post(json.dumps(value).encode())


def wrong_types(dice: random.Random) -> bytes:
    """Return JSON of the wrong types."""
    values = [None, True, 3, -1.5, [], {}, [[]], [None], {"a": 1}, [{"text": 3}], "", " ", {"text": []}, "\ud800"]
    parameters = {dice.choice(["top_k", "truncation", "function_to_apply", "x"]): dice.choice(values)}
    return as_json({"inputs": dice.choice(values), "parameters": dice.choice([parameters, *values])})


def mutated(dice: random.Random) -> bytes:
    """Return a good request with some bytes changed."""
    content = bytearray(as_json({"inputs": ["I lost my card", "hello"], "parameters": {"top_k": 3}}))
    for _ in range(dice.randint(1, 8)):
        content[dice.randrange(len(content))] = dice.randrange(256)
    return bytes(content)


MAKERS: dict[str, Maker] = {
    "wrong types": wrong_types,
    "changed bytes": mutated,
    "random bytes": lambda dice: dice.randbytes(dice.randint(1, 5000)) + b"\r\n\r\n",
    "random body": lambda dice: post(dice.randbytes(dice.randint(1, 5000))),
    "deep lists": lambda dice: post(b"[" * dice.randint(1000, 500_000)),
    "deep objects": lambda dice: post(b'{"inputs":' * dice.randint(1000, 50_000)),
    "no utf-8": lambda dice: post(b'{"inputs": "' + dice.randbytes(50).replace(b'"', b"\xff") + b'\xff"}'),
    "cut off json": lambda dice: post(b'{"inputs": ["I lost my card", "hel'[: dice.randint(1, 30)]),
    "too many items": lambda dice: as_json({"inputs": ["a"] * dice.randint(129, 100_000)}),
    "too many tokens": lambda dice: as_json({"inputs": ["card " * 5000] * dice.randint(40, 70)}),
    "one long word": lambda dice: as_json({"inputs": "a" * dice.randint(600_000, 1_500_000)}),
    "too large": lambda dice: post(b"x" * 2_100_000),
    "too large, said": lambda dice: post(b"", length=dice.randint(2_000_001, 10**15)),
    "gzip bomb": lambda dice: post(_bomb(), TYPE + b"content-encoding: gzip\r\n"),
    "broken gzip": lambda dice: post(_bomb()[: dice.randint(1, 500)], TYPE + b"content-encoding: gzip\r\n"),
    "other encoding": lambda dice: post(b"x", TYPE + b"content-encoding: br\r\n"),
    "other type": lambda dice: post(b"x", b"content-type: text/xml\r\n"),
    "header flood": lambda dice: b"GET /ping HTTP/1.1\r\n" + b"x-%d: y\r\n" % dice.randint(1, 9) * 50_000,
    "long path": lambda dice: b"GET /" + b"a" * dice.randint(20_000, 200_000) + b" HTTP/1.1\r\n\r\n",
    "bad chunks": lambda dice: b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "slow body": lambda dice: post(b'{"inputs"', length=1000),
    "slow headers": lambda dice: b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-",
    "hangs up": lambda dice: as_json({"inputs": "I lost my card"}),
}
GOOD = as_json({"inputs": "I lost my card"})
PATIENCE = 1
"""Seconds that the server gives a client; a busy machine may keep one from sending at once after it has connected."""
UNFINISHED = ("slow headers", "hangs up", "random bytes", "changed bytes")


def _bomb(cache: list[bytes] = []) -> bytes:  # noqa: B006 - made once
    if not cache:
        cache.append(gzip.compress(b'"' + b" " * 100_000_000 + b'"'))
    return cache[0]


async def attack(port: int, name: str, dice: random.Random) -> str:
    """Send one request, and return the status that it got, or that it was closed or hung."""
    content = GOOD if name == "good" else MAKERS[name](dice)
    clock = asyncio.get_running_loop().time
    start = sent = clock()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return "refused"
    try:
        writer.write(content)
        sent = clock()
        if name == "hangs up":
            return "closed"
        answer = await asyncio.wait_for(reader.read(12), 60)
        status = answer[9:12].decode("ascii", "replace")
    except TimeoutError:
        return "HANGS"
    except ConnectionError:
        status = ""
    finally:
        writer.transport.abort()
    return status or ("closed" if sent - start < PATIENCE / 2 else "closed, sent late")


async def attack_all(port: int, requests: int, seed: int, at_once: int) -> dict[str, Counter[str]]:
    """Send all requests, so many at once."""
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in MAKERS}
    dice, names = random.Random(seed), list(MAKERS)
    numbers = iter(range(requests))

    async def client() -> None:
        for number in numbers:
            name = names[number % len(names)]
            outcomes[name][await attack(port, name, random.Random(dice.random()))] += 1

    await asyncio.gather(*(client() for _ in range(at_once)))
    return outcomes


def main() -> int:
    """Attack a server, and print what became of it; return 1 where it hangs, fails or does not answer any more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "distilbert_cli.main", "serve", str(options.model), "--port", "0"]
        with log.open("wb") as file:
            process = subprocess.Popen([*command, "--body-timeout", str(PATIENCE)], stderr=file, env=base_environment())
        try:
            port = port_of(log, process)
            asyncio.run(attack_all(port, 2 * len(MAKERS), 0, options.at_once))
            before, start = 1024 * kilobytes("VmRSS", process.pid), time.monotonic()
            outcomes = asyncio.run(attack_all(port, options.requests, options.seed, options.at_once))
            seconds, after = time.monotonic() - start, 1024 * kilobytes("VmRSS", process.pid)
            status = asyncio.run(attack(port, "good", random.Random(0)))
        finally:
            process.terminate()
            exit_status = process.wait(60)
    return report(outcomes, seconds, before, after, status, exit_status)


def report(
    outcomes: dict[str, Counter[str]], seconds: float, before: int, after: int, status: str, exit_status: int
) -> int:
    """Print a table, and return 1 where something is wrong."""
    print("| request | outcomes |\n|---|---|")
    for name, counts in outcomes.items():
        print(f"| {name} | {', '.join(f'{outcome} x {count}' for outcome, count in counts.most_common())} |")
    print(f"\n{sum(map(sum, (counts.values() for counts in outcomes.values())))} requests in {seconds:.0f} s")
    print(
        f"memory: {before / 2**20:.0f} -> {after / 2**20:.0f} MB; a good request then gets {status}; exit {exit_status}"
    )
    wrong = {
        (name, outcome)
        for name, counts in outcomes.items()
        for outcome in counts
        if outcome.startswith("5")
        or outcome in ("HANGS", "refused")
        or (outcome == "closed" and name not in UNFINISHED)
    }
    for name, outcome in sorted(wrong):
        print(f"WRONG: {name}: {outcome}")
    return int(bool(wrong) or status != "200" or exit_status != 0)


if __name__ == "__main__":
    sys.exit(main())
