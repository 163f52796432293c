"""Serving beside a naive server: answers a second, p50, p99 and memory, for 1 to 128 clients, in one run.

All servers have the same model and are asked for the same real sentences, one a request, on connections that are kept.
At each number of clients they take turns. The naive server is a web framework around transformers' pipeline, which
computes each request by itself; "padded" is ours with a row for each text.

Usage: python benchmarks/serving.py [--model DIR] [--file FILE] [--clients 1,8,32,128] [--seconds 10] [--rounds 1]
       [--servers ours,padded,naive,onnx] [--naive-python PYTHON] [--threads N] [--write]
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from machine import kilobytes, processor, write_figures
from serving_load import load
from serving_picture import draw

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [str(ROOT / name) for name in ("common", "conversion", "pt", "tf", "flax", "tasks", "deploy", "cli")]
DOCS = ROOT / "docs"
NAMES = {
    "ours": "distilbert serve",
    "padded": "distilbert serve, padded",
    "onnx": "distilbert serve, ONNX",
    "naive": "naive: transformers' pipeline",
}
Facts = dict[str, Any]


def main() -> int:
    """Measure, print a table, and with --write keep figures and picture; return 1 where requests failed."""
    options = parse()
    sentences = read_sentences(options.file)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if str(options.model) == "base":
            options.model = base_model(folder / "base")
        ports = {name: stack.enter_context(server(name, options, folder)) for name in options.servers}
        points = measure(options, ports, sentences)
    facts = {"processor": processor(), "cores": os.cpu_count(), "python": platform.python_version()}
    facts |= {"model": options.model.name, "seconds": options.seconds, "rounds": options.rounds, "points": points}
    print(table(facts))
    if options.write:
        write_figures(DOCS / "serving.json", facts)
        draw(facts, NAMES, DOCS / "serving.png")
    return int(any(point["failed"] for point in points))


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", type=Path, default=ROOT / "demo" / "model", help="a text classifier; base for random weights"
    )
    parser.add_argument("--file", type=Path, default=ROOT / "demo" / "data" / "banking77_test.csv")
    parser.add_argument("--clients", type=lambda text: [int(one) for one in text.split(",")], default=[1, 8, 32, 128])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=1, help="turns of each server at each number of clients")
    parser.add_argument("--servers", type=lambda text: text.split(","), default=["ours", "padded", "naive"])
    parser.add_argument("--naive-python", default=sys.executable, help="a Python with transformers")
    parser.add_argument(
        "--threads", type=int, help="threads of one call of the model; the framework's own if not given"
    )
    parser.add_argument("--write", action="store_true", help="write docs/serving.json and docs/serving.png")
    return parser.parse_args()


def read_sentences(path: Path) -> list[str]:
    """Return the sentences of a file: its column text or sentence, or else its lines."""
    if path.suffix not in (".csv", ".tsv"):
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    column = "text" if "text" in rows[0] else "sentence"
    return [row[column].strip() for row in rows]


@contextmanager
def server(name: str, options: argparse.Namespace, folder: Path) -> Iterator[tuple[int, int]]:
    """Start a server, and give its port and its process once it is ready."""
    environment = base_environment()
    if options.threads:
        environment["OMP_NUM_THREADS"] = str(options.threads)
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command(name, options, folder), stderr=file, env=environment)
    try:
        yield port_of(log, process), process.pid
    finally:
        process.terminate()
        process.wait(60)


def base_environment() -> dict[str, str]:
    """Return the environment of a server: this repository's packages, and no network."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(PACKAGES), "HF_HUB_OFFLINE": "1"}


def command(name: str, options: argparse.Namespace, folder: Path) -> list[str]:
    """Return the command that starts a server."""
    if name == "naive":
        return [options.naive_python, str(Path(__file__).parent / "serving_naive.py"), str(options.model)]
    module = [str(Path(__file__).parent / "serving_padded.py")] if name == "padded" else ["-m", "distilbert_cli.main"]
    model = options.model
    if name == "onnx":
        model = folder / "onnx"
        export = [sys.executable, "-m", "distilbert_cli.main", "export", str(options.model), str(model), "--to", "onnx"]
        subprocess.run(export, check=True, env=base_environment())
    return [sys.executable, *module, "serve", str(model), "--port", "0"]


def port_of(log: Path, process: subprocess.Popen[bytes]) -> int:
    """Wait until a server is ready, and return its port."""
    while process.poll() is None:
        text = log.read_text(encoding="utf-8", errors="replace")
        port = re.search(r"http://127\.0\.0\.1:(\d+)", text)
        if port and '"ready"' in text.replace("'", '"'):
            return int(port[1])
        time.sleep(0.1)
    raise SystemExit(log.read_text(encoding="utf-8", errors="replace"))


def measure(options: argparse.Namespace, ports: dict[str, tuple[int, int]], sentences: list[str]) -> list[Facts]:
    """Let the servers take turns at each number of clients."""
    points = []
    for name, (port, _) in ports.items():  # what is made at the first requests is not measured
        asyncio.run(load(port, sentences, clients=4, seconds=min(3.0, options.seconds)))
        print(f"{NAMES[name]} is warm", file=sys.stderr)
    for clients in options.clients:
        runs: dict[str, list[Facts]] = {name: [] for name in ports}
        for _ in range(options.rounds):
            for name, (port, pid) in ports.items():
                before, busy = 1024 * kilobytes("VmRSS", pid), processor_seconds(pid)
                run = asyncio.run(load(port, sentences, clients, options.seconds))
                run |= {"memory_before": before, "memory_after": 1024 * kilobytes("VmRSS", pid)}
                runs[name].append({**run, "processor": processor_seconds(pid) - busy})
        points += [{"server": name, "clients": clients, **joined(some)} for name, some in runs.items()]
    return points


def joined(runs: Sequence[Facts]) -> Facts:
    """Return the figures of several turns together."""
    latencies = sorted(latency for run in runs for latency in run["latencies"])
    return {
        "per_second": statistics.fmean(len(run["latencies"]) / run["seconds"] for run in runs),
        "p50_ms": 1000 * percentile(latencies, 0.5),
        "p99_ms": 1000 * percentile(latencies, 0.99),
        "processor_ms": 1000 * sum(run["processor"] for run in runs) / max(1, len(latencies)),
        "requests": len(latencies),
        "failed": sum(run["failed"] for run in runs),
        "memory_before": runs[0]["memory_before"],
        "memory_after": runs[-1]["memory_after"],
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which such a share of the values lies; 0 where there are none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def processor_seconds(pid: int) -> float:
    """Return how long a process has computed, on all cores together: a figure that other processes hardly change."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def base_model(folder: Path) -> Path:
    """Write a classifier of the size of distilbert-base with random weights, and the tokenizer of the demo."""
    from distilbert_common import DistilBertConfig
    from distilbert_conversion import expected, save_checkpoint

    demo = ROOT / "demo" / "model"
    vocab = len((demo / "vocab.txt").read_text(encoding="utf-8").splitlines())
    config = DistilBertConfig(vocab_size=vocab, architectures=["DistilBertForSequenceClassification"])
    random = np.random.default_rng(0)
    shapes = expected(config, "ForSequenceClassification")
    weights = {name: random.normal(0, 0.02, shape).astype(np.float32) for name, shape in shapes.items()}
    weights |= {name: np.ones_like(one) for name, one in weights.items() if name.endswith("layer_norm.weight")}
    folder.mkdir()
    save_checkpoint(folder, weights, config, "ForSequenceClassification")
    config.save_pretrained(folder)
    shutil.copyfile(demo / "vocab.txt", folder / "vocab.txt")
    return folder


def table(facts: Facts) -> str:
    """Return the figures as a table in Markdown, each beside the naive server's at the same number of clients."""
    lines = [
        "| clients | server | answers/s | p50, ms | p99, ms | processor time, ms | memory, MB "
        "| answers/s beside naive | p99 | processor time |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    naive = {point["clients"]: point for point in facts["points"] if point["server"] == "naive"}
    for point in facts["points"]:
        memory = f"{point['memory_before'] / 2**20:.0f} → {point['memory_after'] / 2**20:.0f}"
        cells = [point["clients"], NAMES[point["server"]], f"{point['per_second']:.1f}"]
        cells += [f"{point[key]:.0f}" for key in ("p50_ms", "p99_ms")] + [f"{point['processor_ms']:.1f}", memory]
        other = naive.get(point["clients"])
        ratios = [
            f"{point[key] / other[key]:.2f} x" if other else "" for key in ("per_second", "p99_ms", "processor_ms")
        ]
        lines.append(f"| {' | '.join(map(str, [*cells, *ratios]))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
