"""Every export of a model in its own runtime: difference, size, and processor time, beside transformers' own export.

python benchmarks/export.py NAME=FOLDER … [--heads] [--only onnx,openvino] [--rounds 9]

writes docs/deployment.json and .png and the tables of docs/deployment.md. All that is measured takes turns in one
process; a figure is the fastest of its rounds, in seconds of one processor core, so that what else runs on the machine
moves all figures alike. Figures of models that are not named stay as they are.
With --heads all six models are exported to every target, for how far each is off.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from distilbert_common import DistilBertConfig
from distilbert_conversion import expected, save_checkpoint
from distilbert_conversion.weights.table import HEADS
from distilbert_deploy import export
from distilbert_deploy.session import open_session
from distilbert_deploy.targets import TARGETS, target_module
from export_page import write_page
from machine import processor, read_figures, units_of, write_figures

Facts = dict[str, Any]
Batch = dict[str, np.ndarray]
BATCHES, LONGEST = (1, 32), 128
FIGURES = ROOT / "docs" / "deployment.json"
PRECISIONS = {"onnx": ("float32", "float16", "int8")}
SMALL = {"n_layers": 2, "dim": 128, "n_heads": 4, "hidden_dim": 256, "vocab_size": 2000}
"""Of the six models, for how far exports are off."""
THEIRS = "onnx, as transformers exports it"
OURS_PT = "none: distilbert_pt"


def batch_of(batch: int, seq: int, vocab_size: int) -> Batch:
    """Return full rows of random ids: what is computed does not depend on them."""
    ids = np.random.default_rng(0).integers(0, vocab_size, (batch, seq))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def write_random_model(folder: Path, head: str = "ForSequenceClassification", **sizes: int) -> Path:
    """Write a model with random weights, of the size of distilbert-base-uncased if none is given; return its folder."""
    config = DistilBertConfig(architectures=[f"DistilBert{head}"], **sizes)
    random = np.random.default_rng(0)
    weights = {
        name: np.full(shape, float(name.endswith("orm.weight")), np.float32)
        if len(shape) == 1
        else (random.standard_normal(shape, np.float32) * np.float32(0.04))
        for name, shape in expected(config, head).items()
    }
    save_checkpoint(folder, weights, config, head)
    config.save_pretrained(folder)
    return folder


def their_export(model: Path, folder: Path, config: DistilBertConfig) -> Path:
    """Export a model with transformers and PyTorch's exporter, as Optimum does."""
    import torch
    import transformers

    cls = getattr(transformers, str((config.architectures or ["DistilBertModel"])[0]))
    theirs = cls.from_pretrained(model, attn_implementation="eager").eval()
    inputs = {name: torch.from_numpy(x) for name, x in batch_of(2, 16, config.vocab_size).items()}
    axes = {name: {0: "batch", 1: "seq"} for name in inputs}
    path = folder / "theirs.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            theirs, (), str(path), kwargs=inputs, input_names=list(inputs), output_names=["logits"],
            dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    return path


def pt_run(model: Path) -> Callable[[Batch], Any]:
    """Return the PyTorch model of this project, as pipelines use it, in one thread."""
    import torch

    from distilbert_pt import engine

    torch.set_num_threads(1)
    config = DistilBertConfig.from_pretrained(model)
    head = str((config.architectures or ["DistilBertModel"])[0]).removeprefix("DistilBert")
    return engine.Engine(engine.load_model(head, model), None, "cpu").eval_step


def options_of(precision: str) -> dict[str, str]:
    """Return the options that ask for a precision."""
    return {"int8": {"quantize": "int8"}, "float16": {"dtype": "float16"}}.get(precision, {})


def prepare(model: Path, only: Sequence[str], folder: Path) -> list[tuple[Facts, Callable[[Batch], Any]]]:
    """Return the figures of each export, and what runs it."""
    made: list[tuple[Facts, Callable[[Batch], Any]]] = []
    for target in only:
        for precision in PRECISIONS.get(target, ("float32",)):
            place = folder / f"{target}-{precision}"
            report = export(model, place, target=target, **options_of(precision))
            facts = {"target": target, "precision": precision, "nbytes": report.nbytes, "seconds": report.seconds}
            facts |= {"absolute": report.difference.absolute, "scale": report.difference.scale}
            facts |= {"rms": report.difference.rms}
            print(facts, flush=True)
            is_onnx = target == "onnx"
            run = session_run(report.files[0]) if is_onnx else target_module(target).open_run(list(report.files))
            made.append((facts, run))
    config = DistilBertConfig.from_pretrained(model)
    path = their_export(model, folder, config)
    made.append(({"target": THEIRS, "precision": "float32", "nbytes": path.stat().st_size}, session_run(path)))
    made.append(({"target": OURS_PT, "precision": "float32"}, pt_run(model)))
    return made


def session_run(path: Path, threads: int = 1) -> Callable[[Batch], Any]:
    """Return what runs an ONNX file in one thread."""
    session = open_session(path, threads=threads)
    return lambda batch: session.run(None, batch)


def measure(made: Sequence[tuple[Facts, Callable[[Batch], Any]]], config: DistilBertConfig, rounds: int) -> list[Facts]:
    """Let all take turns, and return their figures with the fastest of each."""
    times: dict[tuple[int, int], list[float]] = {}
    for rows in BATCHES:
        batch = batch_of(rows, min(LONGEST, config.max_position_embeddings), config.vocab_size)
        for turn in range(rounds + 1):
            for number, (_, run) in enumerate(made):
                started = time.process_time()
                run(dict(batch))
                if turn:  # the first call prepares
                    times.setdefault((number, rows), []).append(time.process_time() - started)
    return [
        {**facts, "processor": {str(rows): min(times[number, rows]) for rows in BATCHES}}
        for number, (facts, _) in enumerate(made)
    ]


def measure_model(model: Path, name: str, only: Sequence[str], rounds: int) -> Facts:
    """Export a model to all targets and measure them."""
    config = DistilBertConfig.from_pretrained(model)
    with TemporaryDirectory() as folder:
        rows = measure(prepare(model, only, Path(folder)), config, rounds)
    sizes = {"dim": config.dim, "layers": config.n_layers, "seq": min(LONGEST, config.max_position_embeddings)}
    return {"model": name, **sizes, "rows": rows}


def export_heads(only: Sequence[str]) -> dict[str, dict[str, float]]:
    """Export the six models, and return by target and precision how far each is off, of its largest output."""
    differences: dict[str, dict[str, float]] = {}
    with TemporaryDirectory() as folder:
        models = {head: write_random_model(Path(folder) / head, head, **SMALL) for head in HEADS}
        for target, precision in [(one, precision) for one in only for precision in PRECISIONS.get(one, ("float32",))]:
            for head, model in models.items():
                place = Path(folder) / f"{head}-{target}-{precision}"
                report = export(model, place, target=target, **options_of(precision))
                differences.setdefault(f"{target}, {precision}", {})[head] = report.difference.largest
            print(target, precision, differences[f"{target}, {precision}"], flush=True)
    return differences


def machine() -> Mapping[str, Any]:
    """Return what the figures depend on."""
    import onnxruntime

    units = units_of(("avx2", "avx512_vnni", "amx_int8"))
    return {"processor": processor(), "units": units, "onnxruntime": onnxruntime.__version__}


def main() -> None:
    """Measure models, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="NAME=FOLDER; NAME=random for one of base size")
    parser.add_argument("--heads", action="store_true", help="export all six models too")
    parser.add_argument("--only", default=",".join(TARGETS), help="targets, with commas between")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    figures = read_figures(FIGURES, {"models": {}})
    for pair in arguments.models:
        name, _, folder = pair.partition("=")
        with TemporaryDirectory() as temporary:
            model = write_random_model(Path(temporary)) if folder == "random" else Path(folder)
            figures["models"][name] = measure_model(model, name, arguments.only.split(","), arguments.rounds)
        figures["machine"] = machine()
        write_figures(FIGURES, figures)
    if arguments.heads:
        figures["heads"] = export_heads(arguments.only.split(","))
        write_figures(FIGURES, figures)
    write_page(figures, ROOT / "docs")


if __name__ == "__main__":
    main()
