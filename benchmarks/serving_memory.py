"""The memory of a server over many requests: real sentences, one a request, from 1 to 128 clients in turns.

Prints a line after each tenth of the requests; a server that keeps something of each request grows from line to line.

Usage: python benchmarks/serving_memory.py [--requests 100000] [--model DIR] [--file FILE] [--server ours]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from itertools import cycle
from pathlib import Path

from machine import kilobytes
from serving import NAMES, ROOT, read_sentences, server
from serving_load import load

TURN = 3.0
"""Seconds with one number of clients."""


def main() -> int:
    """Load a server until it has had all requests; return 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model", help="a text classifier")
    parser.add_argument("--file", type=Path, default=ROOT / "demo" / "data" / "banking77_test.csv")
    parser.add_argument("--server", default="ours", choices=NAMES)
    parser.add_argument("--naive-python", default=sys.executable, help="a Python with transformers")
    parser.add_argument("--threads", type=int, help="threads of one call of the model")
    options = parser.parse_args()
    sentences, failed, answered, lines = read_sentences(options.file), 0, 0, 0
    with tempfile.TemporaryDirectory() as folder, server(options.server, options, Path(folder)) as (port, pid):
        print(f"requests  MB\n{0:8,}  {megabytes(pid):.0f}", flush=True)
        for clients in cycle((32, 8, 128, 1)):
            turn = asyncio.run(load(port, sentences, clients, TURN))
            failed, answered = failed + turn["failed"], answered + len(turn["latencies"])
            while lines < min(10, 10 * answered // options.requests):
                lines += 1
                print(f"{answered:8,}  {megabytes(pid):.0f}", flush=True)
            if answered + failed >= options.requests:
                break
    print(f"{failed} failed")
    return int(failed > 0)


def megabytes(pid: int) -> float:
    """Return what a process holds in memory."""
    return kilobytes("VmRSS", pid) / 1024


if __name__ == "__main__":
    sys.exit(main())
