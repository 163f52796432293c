"""Ours and the baselines' side by side: each row runs both in turn, round by round, in processes that stay.

Every row checks that both computed the same numbers. `speed_page.py` makes the page and the pictures of the figures.

Usage: make bench, or python benchmarks/speed.py [--only WORD] [--rounds N] [--page-only]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("common", "conversion", "pt")]

import numpy as np
from rich.progress import Progress

from distilbert_common import DistilBertConfig, DistilBertTokenizerFast
from distilbert_conversion import convert
from machine import processor, read_figures, units_of, versions_of, write_figures
from runs import SENTENCES
from speed_page import write_page
from speed_pictures import draw_pictures
from speed_table import EVERY, GROWTH, Row

RESULTS = ROOT / "benchmarks" / "speed.json"
BASELINE_PYTHON = {
    "transformers-pt": ".venv-bench-pt", "onnxruntime-pt": ".venv-bench-pt",
    "sentence-transformers-pt": ".venv-bench-pt", "transformers-tf": ".venv-bench-tf",
    "transformers-flax": ".venv-bench-tf", "unjitted-flax": ".venv-bench-tf", "keras-hub-tf": ".venv-bench-tf",
}  # fmt: skip
REST = 0.1
"""Seconds between two rounds: the threads of the process that ran wait busily for a while."""
SHARED = ROOT.parent / "shared" / "data"
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "",
    "TF_USE_LEGACY_KERAS": "1", "HF_HUB_OFFLINE": "1",
}  # fmt: skip
Facts = dict[str, Any]


def sentences() -> list[str]:
    """Return real sentences: those of SST-2's development set where it is at hand, or of BANKING77."""
    path = SHARED / "sst2" / "dev.tsv"
    if path.is_file():
        return [line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    with (ROOT / "demo" / "data" / "banking77_test.csv").open(encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)][:SENTENCES]


def running_text(otherwise: list[str]) -> dict[str, list[str]]:
    """Return real running text: XQuAD's paragraphs and WikiText's lines where they are at hand, or what is given."""
    paragraphs, lines = SHARED / "xquad" / "xquad.en.json", SHARED / "wikitext2" / "wiki.test.raw"
    texts = {"paragraphs": otherwise, "articles": otherwise}
    if paragraphs.is_file():
        articles = json.loads(paragraphs.read_text(encoding="utf-8"))["data"]
        texts["paragraphs"] = [paragraph["context"] for article in articles for paragraph in article["paragraphs"]]
    if lines.is_file():
        texts["articles"] = lines.read_text(encoding="utf-8").splitlines()[:1000]
    return texts


def write_models(folder: Path, frameworks: tuple[str, ...] = ("pt", "tf", "flax")) -> None:
    """Write one random full-size checkpoint of each head in each framework's format, with a real vocabulary."""
    import torch

    import distilbert_pt

    vocab = SHARED / "vocab" / "bert-base-uncased-vocab.txt"
    tokenizer = DistilBertTokenizerFast.from_pretrained(vocab if vocab.is_file() else ROOT / "demo" / "model")
    torch.manual_seed(0)
    for head in ("ForSequenceClassification", "ForMaskedLM"):
        model = getattr(distilbert_pt, f"DistilBert{head}")(DistilBertConfig())
        model.save_pretrained(folder / "pt" / head)
        tokenizer.save_pretrained(folder / "pt" / head)
        for framework in frameworks[1:]:
            convert(folder / "pt" / head, folder / framework / head, to=framework)
    if "tf" in frameworks:
        convert(folder / "pt" / "ForSequenceClassification", folder / "keras-hub", to="tf", format="keras-hub")


def write_batches(folder: Path) -> None:
    """Write the batches of every workload."""
    tokenizer = DistilBertTokenizerFast.from_pretrained(folder / "pt" / "ForSequenceClassification")
    texts, rng = sentences(), np.random.default_rng(0)
    (folder / "texts.json").write_text(json.dumps((texts * 12)[:10_000]))
    running = {
        name: np.concatenate([np.array(ids, np.int64) for ids in tokenizer(lines)["input_ids"]])
        for name, lines in running_text(texts).items()
    }

    def full(batch: int, seq: int, kind: str = "paragraphs") -> dict[str, np.ndarray]:
        ids = running[kind][: batch * seq].reshape(batch, seq)  # (batch, seq)
        return {"input_ids": ids, "attention_mask": np.ones_like(ids)}

    def padded(part: list[str]) -> dict[str, np.ndarray]:
        return dict(tokenizer(part, padding=True, truncation=True, max_length=128, return_tensors="np"))

    masked = full(4, 512, "articles")
    masked["labels"] = np.where(rng.random((4, 512)) < 0.15, masked["input_ids"], -100)
    workloads = {
        "1x20": [full(1, 20)],
        "1x128": [full(1, 128)],
        "32x128": [full(32, 128)],
        "bfloat16-32x128": [full(32, 128)],
        "sst2": [padded(texts[start : start + 32]) for start in range(0, SENTENCES, 32)],
        "train32": [{**padded(texts[:32]), "labels": rng.integers(2, size=32)}],
        "masked4x512": [masked],
        "masked4x512-checkpointed": [masked],
        **{row.workload: [full(*map(int, row.title.split(" x ")))] for row in GROWTH},
    }
    for name, batches in workloads.items():
        arrays = {f"{i:04}/{key}": array for i, batch in enumerate(batches) for key, array in batch.items()}
        np.savez(folder / f"{name}.npz", **arrays)


def python_of(implementation: str) -> Path:
    """Return the interpreter that has what an implementation needs."""
    environment = BASELINE_PYTHON.get(implementation)
    return Path(sys.executable) if environment is None else ROOT / environment / "bin" / "python"


def environment_of(implementation: str) -> dict[str, str]:
    """Return the environment of an implementation; transformers alone needs the old Keras."""
    environment = {**os.environ, **QUIET}
    if not implementation.startswith("transformers"):
        environment.pop("TF_USE_LEGACY_KERAS")
    return environment


class Worker:
    """A process that runs one implementation.

    Args:
        implementation: Its name, as "ours-pt".
        folder: What `write_models` and `write_batches` wrote to.
        root: Where this project, or another revision of it, lies.
    """

    def __init__(self, implementation: str, folder: Path, root: Path = ROOT) -> None:
        self.process = subprocess.Popen(
            [python_of(implementation), root / "benchmarks" / "speed_worker.py", implementation, folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment_of(implementation),
        )  # fmt: skip

    def run(self, row: Row, repeat: int) -> tuple[float, float, np.ndarray]:
        """Run one round; return its seconds, its peak memory in MB, and the numbers that came out."""
        answer = self.answer(row, repeat)
        return answer["seconds"], answer["memory"], np.array(answer["numbers"])

    def answer(self, row: Row, repeat: int) -> Facts:
        """Run one round, and return all that the process says of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"kind": row.kind, "workload": row.workload, "repeat": repeat}) + "\n")
        self.process.stdin.flush()
        answer: Facts = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def baseline_of(row: Row) -> str:
    """Return the implementation on the other side, as `BASELINE_PYTHON` names it."""
    return f"{row.baseline}-pt" if row.baseline == "sentence-transformers" else f"{row.baseline}-{row.framework}"


def implementations(row: Row) -> dict[str, str]:
    """Return what runs on each side of a row."""
    return {"ours": f"ours-{row.framework}", **({} if row.baseline is None else {"baseline": baseline_of(row)})}


def measure(row: Row, workers: dict[str, Worker], rounds: int) -> Facts:
    """Run one row: a round of each to warm up, then rounds in turn; return seconds, ratios and the difference."""
    numbers = {side: worker.run(row, 2)[2] for side, worker in workers.items()}
    seconds: dict[str, list[float]] = {side: [] for side in workers}
    memory = dict.fromkeys(workers, 0.0)
    for _ in range(rounds):
        for side, worker in workers.items():
            time.sleep(REST)
            took, held, _ = worker.run(row, row.repeat)
            seconds[side].append(took)
            memory[side] = max(memory[side], held)
    facts = {**row._asdict(), "rounds": rounds, "ours": median(seconds["ours"]), "fastest": min(seconds["ours"])}
    if row.baseline is None:
        return facts
    ratios = [baseline / ours for ours, baseline in zip(seconds["ours"], seconds["baseline"], strict=True)]
    difference = float(np.abs(numbers["ours"] - numbers["baseline"]).max())
    return {
        **facts, "difference": difference, "same": difference <= row.tolerance,
        "baseline_seconds": median(seconds["baseline"]),
        "ratio": median(ratios), "least": min(ratios), "most": max(ratios), "memory": list(memory.values()),
    }  # fmt: skip


def measure_all(rows: list[Row], folder: Path, rounds: int, progress: Progress) -> list[Facts]:
    """Run all rows, those of the same two processes one after the other; return their figures in the rows' order."""
    facts: dict[Row, Facts] = {}
    task = progress.add_task("", total=len(rows))
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:  # the peak of a process holds what it did before: a row with a goal for it starts anew
        own_process = row.title if row.memory_goal is not None else ""
        groups.setdefault((*implementations(row).values(), own_process), []).append(row)
    for group in groups.values():
        workers = {side: Worker(name, folder) for side, name in implementations(group[0]).items()}
        for row in group:
            progress.update(task, advance=1, description=f"{row.title} ({row.framework}, {row.baseline})")
            facts[row] = measure(row, workers, min(rounds, row.rounds))
        for worker in workers.values():
            worker.close()
    return [facts[row] for row in rows]


START = (
    "import sys, time; start = time.perf_counter(); sys.path[:0] = {paths!r}; {load}; "
    "print(time.perf_counter() - start, int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1024)"
)


BARE = {"pt": "torch", "tf": "tensorflow, keras", "flax": "jax, flax.nnx"}
"""What a framework's users import in any case."""


def measure_start(framework: str, folder: Path, rounds: int) -> Facts:
    """Return seconds and peak memory (MB) of import and `from_pretrained` in fresh processes, in turn.

    "bare" is the import of the framework alone, in the environment of ours.
    """
    figures: dict[str, list[tuple[float, float]]] = {"ours": [], "baseline": [], "bare": []}
    model = {"pt": "", "tf": "TF", "flax": "Flax"}[framework] + "DistilBertForSequenceClassification"
    for _ in range(rounds + 1):
        for side, starts in figures.items():
            ours = side != "baseline"
            names = ("common", "conversion", framework)
            paths = [str(ROOT / name) for name in names] if ours else []
            module = f"distilbert_{framework}" if ours else "transformers"
            path = str(folder / framework / "ForSequenceClassification")
            load = f"from {module} import {model}; {model}.from_pretrained({path!r})"
            code = START.format(paths=paths, load=f"import {BARE[framework]}" if side == "bare" else load)
            implementation = f"{'ours' if ours else 'transformers'}-{framework}"
            done = subprocess.run(
                [python_of(implementation), "-c", code],
                capture_output=True, text=True, check=True, env=environment_of(implementation),
            )  # fmt: skip
            seconds, memory = map(float, done.stdout.split()[-2:])
            starts.append((seconds, memory))
    ours, baseline, bare = (starts[1:] for starts in figures.values())
    ratios = [b[0] / a[0] for a, b in zip(ours, baseline, strict=True)]
    return {
        "title": "import and from_pretrained, fresh process", "framework": framework, "goal": 2.0, "rounds": rounds,
        "ours": median(a for a, _ in ours), "baseline_seconds": median(a for a, _ in baseline), "ratio": median(ratios),
        "least": min(ratios), "most": max(ratios), "same": True, "difference": None, "baseline": "transformers",
        "kind": "start", "workload": "start", "memory_goal": 0.7,
        "memory": [median(b for _, b in ours), median(b for _, b in baseline)],
        "bare": median(a for a, _ in bare), "bare_memory": median(b for _, b in bare),
    }  # fmt: skip


def merged(measured: list[Facts]) -> list[Facts]:
    """Return the stored rows, those measured now in place of the same ones."""

    def key(row: Facts) -> tuple[Any, ...]:
        return tuple(row[name] for name in ("workload", "kind", "framework", "baseline"))

    stored = read_figures(RESULTS, {"rows": []})["rows"]
    table = {key(row._asdict()): row for row in EVERY}
    order = list(table)
    now = {key(row): row for row in (*stored, *measured) if key(row) in order or row["kind"] == "start"}
    for row in now.values():  # stored rows are named and judged as the table says now
        if key(row) in table:
            row |= {name: getattr(table[key(row)], name) for name in ("title", "goal", "memory_goal")}
    return sorted(now.values(), key=lambda row: order.index(key(row)) if key(row) in order else len(order))


def machine() -> Facts:
    """Return what the figures were measured on."""
    flags = units_of(("avx2", "avx512f", "avx512_bf16", "amx_bf16"))
    names = ("torch", "tensorflow", "keras", "jax", "flax", "numpy", "tokenizers")
    baselines = {}
    for name in ("pt", "tf"):
        lines = (ROOT / "benchmarks" / f"requirements-{name}.txt").read_text().split()
        baselines[name] = dict(line.split("==") for line in lines)
    return {
        "processor": processor(), "flags": flags, "cores": os.cpu_count(), "python": platform.python_version(),
        "versions": versions_of(names), "baselines": baselines,
    }  # fmt: skip


def main() -> None:
    """Measure what was asked for, keep the figures, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", default="", help="rows whose title, framework or baseline holds this; others stay as they are"
    )
    parser.add_argument("--rounds", type=int, default=100, help="no row is measured for more rounds than this")
    parser.add_argument("--page-only", action="store_true", help="write the page again from the stored figures")
    options = parser.parse_args()
    if not options.page_only:
        chosen = [
            row
            for row in EVERY
            if options.only in f"{row.title} {row.framework} {row.workload} {row.baseline} {row.kind}"
        ]
        with tempfile.TemporaryDirectory() as name, Progress() as progress:
            folder = Path(name)
            task = progress.add_task("models and batches", total=4)
            write_models(folder)
            write_batches(folder)
            measured = measure_all(chosen, folder, options.rounds, progress)
            for framework in ("pt", "tf", "flax"):
                if options.only not in f"import and from_pretrained {framework} start":
                    continue
                progress.update(task, advance=1, description=f"start ({framework})")
                measured.append(measure_start(framework, folder, min(options.rounds, 9)))
        write_figures(RESULTS, {"machine": machine(), "rows": merged(measured)})
    results = json.loads(RESULTS.read_text())
    write_page(results)
    draw_pictures(results["rows"])


if __name__ == "__main__":
    main()
