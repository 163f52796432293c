"""Prediction on a Ray cluster of this machine: what a killed worker costs, and what a second worker brings.

First a file is predicted by two workers, one of which is killed when half of the rows are there; then some rows are by
one worker and by two, in turns. Each worker has one core and one thread. Rates are of the time from a run's first part
to its last one: to start a worker takes seconds, however many rows there are.

Usage: python benchmarks/ray_scale.py FILE [--model DIR] [--rows 20000] [--turn-rows 4000] [--turns 2] [--write]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import statistics
import sys
import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "RAY_worker_niceness": "0"}

import psutil

from distilbert_deploy.scale import Cluster, predict
from distilbert_deploy.scale.cluster import connected
from distilbert_tasks import DataOptions, FeatureOptions, find_task
from distilbert_tasks.prediction import read_rows
from distilbert_tasks.preparation import prepare
from distilbert_tasks.training.progress import Answering
from machine import processor, read_figures, usable_cores, write_figures
from tasks_start import pretrained_body

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))

from page_tables import fill_tables, markdown_table

WORKERS = 2
Facts = dict[str, Any]


class Watch:
    """Keeps when answers came, and kills a worker when half of them are there, if it is told to."""

    def __init__(self, *, kills: bool = False) -> None:
        self.kills, self.killed, self.points = kills, 0, []  # type: ignore[var-annotated]

    def __call__(self, event: Any) -> None:
        """Take note of an event of a run."""
        if not isinstance(event, Answering):
            return
        self.points.append((perf_counter(), event.rows, self._processor_seconds()))
        if self.kills and not self.killed and event.rows * 2 >= event.total:
            self.killed = self._workers()[0]
            os.kill(self.killed, signal.SIGKILL)

    def _workers(self) -> list[int]:
        children = psutil.Process().children(recursive=True)
        return [child.pid for child in children if "MapWorker" in " ".join(child.cmdline())]

    def _processor_seconds(self) -> float:
        return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in self._workers())

    def rates(self) -> tuple[float, float]:
        """Return rows a second, from the first part to the last, and milliseconds of the processor for each."""
        (start, before, used), (end, after, used_at_end) = self.points[0], self.points[-1]
        rows = after - before
        return round(rows / (end - start), 1), round((used_at_end - used) / rows * 1e3, 2)


def main() -> int:
    """Measure, print, and with --write keep the figures; return 1 where a row is lost or doubled."""
    options = parse()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = options.model or classifier(folder / "model", options.file)
        rows = numbered(options.file, options.rows, folder / "rows.jsonl")
        turn = numbered(options.file, options.turn_rows, folder / "turn.jsonl")
        with connected(Cluster(workers=WORKERS), "the benchmark"):
            killed = with_a_kill(model, rows, folder) if options.rows else last_kill()
            rates = in_turns(model, turn, folder, options.turns)
    facts = {"killed": killed, "rates": rates, "turn_rows": options.turn_rows, "load": load, "cores": usable_cores()}
    facts |= {"processor": processor(), "model": model.name if options.model else "all-MiniLM-L6-v2"}
    for table in tables(facts).values():
        print(table, end="\n\n")
    if options.write:
        write_figures(DOCS / "scale.json", facts)
        fill_tables(DOCS / "scale.md", tables(facts))
    return int(killed["once"] != killed["rows"])


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="texts with labels, as SST-2's train.tsv")
    parser.add_argument("--model", type=Path, help="a text classifier; MiniLM with a new head if not given")
    parser.add_argument("--rows", type=int, default=20_000, help="0 to keep the figures of the last time")
    parser.add_argument("--turn-rows", type=int, default=4000)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write the figures into docs/scale.md")
    return parser.parse_args()


def classifier(folder: Path, file: Path) -> Path:
    """Write MiniLM as a DistilBERT, with a new head for the labels of a file."""
    from distilbert_pt.engine import load_model

    task, body = find_task("text-classification"), pretrained_body(ROOT / ".tasks")
    sources = {"train": file, "validation": None, "test": None}
    prepared = prepare(task, body, sources, DataOptions(max_rows=100), FeatureOptions(), lambda event: None)
    load_model(task.head, body, config=prepared.config, dtype="float32").save_pretrained(folder)
    prepared.tokenizer.save_pretrained(folder)
    return folder


def last_kill() -> Facts:
    """Return what the last run with --write found when a worker was killed."""
    return dict(read_figures(DOCS / "scale.json", {})["killed"])


def numbered(file: Path, count: int, path: Path) -> Path:
    """Write the first rows of a file, each with its number."""
    with file.open(encoding="utf-8", newline="") as stream, path.open("w", encoding="utf-8") as output:
        reader = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        for number, row in enumerate(islice(reader, count)):
            output.write(json.dumps({"number": number, "text": row["sentence"], "gold": row["label"]}) + "\n")
    return path


def with_a_kill(model: Path, rows: Path, folder: Path) -> Facts:
    """Predict with two workers, of which one is killed half-way, and count each row."""
    watch, output, started = Watch(kills=True), folder / "answers.jsonl", perf_counter()
    predict(model, file=rows, output=output, framework="pt", cluster=Cluster(workers=WORKERS), on_progress=watch)
    seconds = perf_counter() - started
    counts = Counter(row["number"] for row in read_rows(output))
    numbers = [row["number"] for row in read_rows(rows)]
    in_order = [row["number"] for row in read_rows(output)] == numbers
    return {
        "rows": len(numbers),
        "once": sum(counts[number] == 1 for number in numbers),
        "lost": sum(counts[number] == 0 for number in numbers),
        "doubled": sum(counts[number] > 1 for number in numbers),
        "in_order": in_order,
        "killed": bool(watch.killed) and not psutil.pid_exists(watch.killed),
        "seconds": round(seconds, 1),
    }


def in_turns(model: Path, rows: Path, folder: Path, turns: int) -> dict[str, list[tuple[float, float]]]:
    """Return the rates of one worker and of two, turn by turn."""
    rates: dict[str, list[tuple[float, float]]] = {"1": [], "2": []}
    for turn in range(turns):
        for workers in (1, 2):
            watch, output = Watch(), folder / f"{turn}-{workers}.jsonl"
            cluster = Cluster(workers=workers)
            predict(
                model, file=rows, output=output, framework="pt", cluster=cluster, rows_per_part=128, on_progress=watch
            )
            rates[str(workers)].append(watch.rates())
    return rates


def tables(facts: Facts) -> dict[str, str]:
    """Return the tables of the page."""
    killed, rates = facts["killed"], facts["rates"]
    once = (f"{killed[name]:,}" for name in ("rows", "once", "lost", "doubled"))
    order = "yes" if killed["in_order"] else "no"
    columns = (
        "workers",
        "rows/s, median",
        "turns",
        "of one worker",
        "processor time a row, ms",
        "rows/s with a core each, computed",
    )
    header = ("rows", "answered once", "lost", "doubled", "in their order", "s, with the start of the workers")
    medians = {workers: statistics.median(rate for rate, _ in turns) for workers, turns in rates.items()}
    rows = [
        (
            workers,
            f"{medians[workers]:,.0f}",
            ", ".join(f"{rate:,.0f}" for rate, _ in turns),
            f"{medians[workers] / medians['1']:.2f}",
            f"{statistics.median(used for _, used in turns):.2f}",
            f"{int(workers) * 1e3 / statistics.median(used for _, used in turns):,.0f}",
        )
        for workers, turns in rates.items()
    ]
    words = f"{facts['model']}; {facts['processor']}, {facts['cores']} cores, load {facts['load']:.1f} before"
    return {
        "killed": markdown_table(header, [(*once, order, killed["seconds"])]),
        "workers": markdown_table(columns, rows),
        "machine": markdown_table(("measured with",), [(words,)]),
    }


if __name__ == "__main__":
    raise SystemExit(main())
