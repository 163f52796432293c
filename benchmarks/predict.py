"""Prediction beside transformers' pipeline: sentences a second, and the time from a cold start to the first answer.

Both classify the same sentences with the same model, transformers in batches of 32. They take turns on the machine.

Usage: python benchmarks/predict.py MODEL FILE [--sentences 10000] [--starts 5] [--turn SECONDS] [--cores N] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks_turns import active_seconds, on_cores, run_in_turns

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [str(ROOT / name) for name in ("common", "conversion", "pt", "tf", "flax", "tasks")]
NAMES = {"ours": "distilbert", "transformers": "transformers' pipeline"}
FIRST = "a gripping movie , played with performances that are all understated and touching ."
Facts = dict[str, Any]


def main() -> int:
    """Measure, and print a table or JSON; return 1 where the answers differ."""
    options = parse()
    if options.worker:
        work(options)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        reports = {name: Path(folder) / f"{name}.json" for name in NAMES}
        starts: dict[str, list[float]] = {name: [] for name in NAMES}
        for _ in range(options.starts):
            for name in NAMES:
                begin = time.time()
                start(options, name, reports[name], sentences=0).wait()
                starts[name].append(json.loads(reports[name].read_text())["first_at"] - begin)
        facts = {**measure(options, reports), "starts": starts}
    print(json.dumps(facts) if options.json else table(facts))
    return 0 if facts["same_labels"] else 1


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a text classifier in PyTorch's format")
    parser.add_argument("file", type=Path, help="a sentence on each line; of tab-separated lines the first column")
    parser.add_argument("--sentences", type=int, default=10_000, help="how many of them")
    parser.add_argument("--starts", type=int, default=5, help="how many cold starts of each")
    parser.add_argument("--turn", type=float, default=5.0, help="seconds that one of them runs at a time")
    parser.add_argument("--cores", type=int, help="how many cores each may use; all, if not given")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--worker", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def start(options: argparse.Namespace, name: str, report: Path, sentences: int) -> subprocess.Popen[bytes]:
    """Start a worker."""
    command = [sys.executable, __file__, str(options.model), str(options.file), "--worker", name]
    command += ["--report", str(report), "--sentences", str(sentences)]
    return subprocess.Popen(
        on_cores(command, options.cores), env={**os.environ, "PYTHONPATH": os.pathsep.join(PACKAGES)}
    )


def measure(options: argparse.Namespace, reports: dict[str, Path]) -> Facts:
    """Let both classify all sentences, in turns, and return their rates and whether their answers agree."""
    processes = {name: start(options, name, report, options.sentences) for name, report in reports.items()}
    intervals = run_in_turns(processes, options.turn)
    results = {name: json.loads(report.read_text()) for name, report in reports.items()}
    ours, theirs = results["ours"], results["transformers"]
    return {
        "sentences": len(ours["labels"]),
        "rates": {
            name: len(result["labels"]) / active_seconds(intervals[name], result["begin"], result["end"])
            for name, result in results.items()
        },
        "processor_seconds": {name: result["processor"] for name, result in results.items()},
        "same_labels": ours["labels"] == theirs["labels"],
        "largest_difference": max(abs(a - b) for a, b in zip(ours["scores"], theirs["scores"], strict=True)),
    }


def work(options: argparse.Namespace) -> None:
    """Give the first answer, then classify all sentences, and report when that was."""
    classify = load(options.worker, str(options.model))
    classify([FIRST])
    first_at = time.time()
    lines = options.file.read_text(encoding="utf-8").splitlines()[1 : 1 + options.sentences]
    sentences = [line.partition("\t")[0] for line in lines]
    begin, processor = time.time(), time.process_time()
    results = classify(sentences) if sentences else []
    facts = {
        "first_at": first_at,
        "begin": begin,
        "end": time.time(),
        "processor": time.process_time() - processor,
        "labels": [one["label"] for one in results],
        "scores": [one["score"] for one in results],
    }
    options.report.write_text(json.dumps(facts), encoding="utf-8")


def load(name: str, model: str) -> Callable[[list[str]], list[dict[str, Any]]]:
    """Return what classifies sentences."""
    if name == "ours":
        from distilbert_tasks import pipeline

        ours: Any = pipeline("text-classification", model, framework="pt", device="cpu")
        return lambda sentences: ours(sentences, truncation=True)
    import transformers

    theirs: Any = transformers.pipeline("text-classification", model, device="cpu")
    return lambda sentences: theirs(sentences, truncation=True, batch_size=32)


def table(facts: Facts) -> str:
    """Return the figures as lines of text."""
    ours, theirs = (statistics.median(facts["starts"][name]) for name in NAMES)
    rates, seconds = facts["rates"], facts["processor_seconds"]
    return "\n".join(
        [
            f"{facts['sentences']:,} sentences; the labels are {'' if facts['same_labels'] else 'NOT '}the same, "
            f"scores within {facts['largest_difference']:.1e}",
            *(
                f"{NAMES[name]}: {rates[name]:.0f} sentences/s, {seconds[name]:.1f} s of processor time, "
                f"first answer after {statistics.median(facts['starts'][name]):.2f} s"
                for name in NAMES
            ),
            f"ratio: {rates['ours'] / rates['transformers']:.2f} in sentences/s, "
            f"{seconds['transformers'] / seconds['ours']:.2f} by processor time, "
            f"{theirs / ours:.2f} to the first answer",
        ]
    )


if __name__ == "__main__":
    raise SystemExit(main())
