"""Two revisions of this project side by side: whether a change has made anything slower.

Each revision runs its own `speed_worker.py` on the same checkpoints and batches, round by round in turn, in processes
that stay. A ratio above 1 says that the newer one is faster.

Usage: python benchmarks/revisions.py OLD [NEW] [--only WORD] [--frameworks pt,tf,flax] [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from speed import REST, ROOT, Worker, write_batches, write_models
from speed_table import FULL, LONG, SHORT, SST2, TRAIN, Row

ROWS = (
    (SHORT, "1x20", "forward"),
    (LONG, "1x128", "forward"),
    (FULL, "32x128", "forward"),
    (SST2, "sst2", "forward"),
    (TRAIN, "train32", "step"),
)
Facts = dict[str, Any]


def main() -> int:
    """Measure, and print a table or JSON."""
    options = parse()
    frameworks = options.frameworks.split(",")
    rows = [
        Row(title, workload, kind, framework, None, 0.0)
        for framework in frameworks
        for title, workload, kind in ROWS
        if options.only in title
    ]
    with tempfile.TemporaryDirectory() as name, checkout(options.old) as old, checkout(options.new) as new:
        folder = Path(name)
        write_models(folder, ("pt", *(framework for framework in frameworks if framework != "pt")))
        write_batches(folder)
        facts = [one for framework in frameworks for one in measure(rows, framework, (old, new), folder, options)]
    if options.json:
        print(json.dumps(facts))
    return 0


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="a revision, as git names it")
    parser.add_argument("new", nargs="?", default="HEAD", help="another one")
    parser.add_argument("--only", default="", help="the rows that hold this word")
    parser.add_argument("--frameworks", default="pt,tf,flax")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print JSON in place of lines")
    return parser.parse_args()


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Lay a revision out in a folder of its own, as long as it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)


def measure(
    rows: list[Row], framework: str, revisions: tuple[Path, Path], folder: Path, options: argparse.Namespace
) -> Iterator[Facts]:
    """Run the rows of a framework, and yield their figures; print each at once, as the next ones take long."""
    with ExitStack() as stack:
        workers = [Worker(f"ours-{framework}", folder, revision) for revision in revisions]
        for worker in workers:
            stack.callback(worker.close)
        for row in (row for row in rows if row.framework == framework):
            facts = compare(row, workers, options.rounds)
            if not options.json:
                print(line_of(facts), flush=True)
            yield facts


def compare(row: Row, workers: list[Worker], rounds: int) -> Facts:
    """Run a row by turns, after two runs of each to warm up."""
    for worker in workers:
        worker.answer(row, 2)
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for worker, seconds in zip(workers, times, strict=True):
            time.sleep(REST)
            seconds.append(worker.answer(row, row.repeat)["seconds"])
    ratios = [old / new for old, new in zip(*times, strict=True)]
    old, new = map(median, times)
    return {
        "title": row.title, "framework": row.framework, "old": old, "new": new,
        "ratio": median(ratios), "least": min(ratios), "most": max(ratios),
    }  # fmt: skip


def line_of(facts: Facts) -> str:
    """Return the figures of a row as a line of text."""
    return (
        f"{facts['framework']:4} {facts['title']:45} {facts['old'] * 1e3:8.1f} ms -> {facts['new'] * 1e3:8.1f} ms: "
        f"{facts['ratio']:.2f} ({facts['least']:.2f} to {facts['most']:.2f})"
    )


if __name__ == "__main__":
    sys.exit(main())
