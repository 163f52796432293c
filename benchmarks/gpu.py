"""The three families on a GPU: PyTorch beside transformers, Flax and Keras' JAX backend beside them, in turn.

Usage: python benchmarks/gpu.py [--rounds N] [--out FILE] [--parity CHECKPOINT] [--only WORD]

It needs an NVIDIA GPU, torch, jax, flax, keras and transformers.

Everything runs in one process, row by row, round by round; each figure is a median. Rates are shares of what a plain
matrix product of the model's own shape reaches on the same chip in the same dtype.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("common", "conversion", "pt", "tf", "flax", "tasks", "cli", "benchmarks")]
os.environ |= {"KERAS_BACKEND": "jax", "XLA_PYTHON_CLIENT_PREALLOCATE": "false", "HF_HUB_OFFLINE": "1"}

import jax
import jax.numpy as jnp
import keras
import numpy as np
import torch
import transformers

import distilbert_flax
import distilbert_pt
import distilbert_tf
from distilbert_cli.compare import compare
from distilbert_cli.frameworks import FRAMEWORKS
from distilbert_common import DistilBertTokenizerFast
from machine import read_figures, versions_of, write_figures
from runs import MATRIX, SENTENCES, read_texts
from speed import write_batches, write_models
from speed_page import operations

Batch = dict[str, np.ndarray]
Facts = dict[str, Any]
Run = Callable[[], np.ndarray]
DTYPES = ("bfloat16", "float32", "float16")
FULL = {"1x128": (1, 128), "32x128": (32, 128), "256x128": (256, 128), "64x512": (64, 512)}
"""Rows without padding: batch and seq."""
MASKED = "masked-LM step without optimizer, 16 x 512"
COMPILED = {(title, dtype) for title in ("32x128", "256x128") for dtype in ("bfloat16", "float32")}
"""What Flax and Keras run too: compiling for a GPU takes long."""
HEAD = "ForSequenceClassification"
_, DIM, HIDDEN_DIM = MATRIX


def clock(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Run each in turn, round by round, and return the median seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in list(runs.values()) * 2:
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: median(times) for name, times in seconds.items()}


def matrix_rate(dtype: str) -> float:
    """Return the operations per second of a large matrix product with the model's inner sizes."""
    a = torch.randn(32_768, DIM, device="cuda", dtype=getattr(torch, dtype))  # (tokens, dim)
    b = torch.randn(DIM, HIDDEN_DIM, device="cuda", dtype=getattr(torch, dtype))

    def run() -> np.ndarray:
        for _ in range(20):
            a @ b
        torch.cuda.synchronize()
        return np.zeros(0)

    return 20 * 2 * a.numel() * HIDDEN_DIM / clock({"": run}, 9)[""]


def torch_run(model: Any, batches: list[Batch], **options: Any) -> Run:
    """Return what runs batches in PyTorch; inputs lie on the GPU beforehand."""
    tensors = [{k: torch.from_numpy(v).cuda() for k, v in batch.items()} for batch in batches]

    def run() -> np.ndarray:
        with torch.inference_mode():
            logits = [model(**batch, **options).logits for batch in tensors]
        return torch.cat(logits).float().cpu().numpy()

    return run


def jax_run(model: Any, batches: list[Batch]) -> Run:
    """Return what runs batches by Flax's default call, or by `jax.jit` of the Keras model's stateless call."""
    if not isinstance(model, keras.Model):
        inputs = batches if "attention_mask" in batches[0] else [jax.device_put(batch) for batch in batches]
        return lambda: np.asarray(jnp.concatenate([model(**batch).logits for batch in inputs]), np.float32)
    values = [[v.value for v in part] for part in (model.trainable_variables, model.non_trainable_variables)]
    call = jax.jit(lambda values, batch: model.stateless_call(*values, training=False, **batch)[0].logits)
    inputs = [jax.device_put(batch) for batch in batches]
    return lambda: np.asarray(jnp.concatenate([call(values, batch) for batch in inputs]), np.float32)


def models(folder: Path, dtype: str) -> dict[str, Any]:
    """Return one model of each implementation in one dtype."""
    baseline = transformers.DistilBertForSequenceClassification.from_pretrained(
        folder / "pt" / HEAD, dtype=getattr(torch, dtype), attn_implementation="sdpa"
    )
    ours = distilbert_pt.DistilBertForSequenceClassification.from_pretrained(folder / "pt" / HEAD, dtype=dtype)
    return {
        "transformers": baseline.cuda().eval(),
        "PyTorch": ours.cuda().eval(),
        "Flax": distilbert_flax.FlaxDistilBertForSequenceClassification.from_pretrained(
            folder / "pt" / HEAD, dtype=dtype
        ),
        "Keras on JAX": distilbert_tf.TFDistilBertForSequenceClassification.from_pretrained(
            folder / "pt" / HEAD, dtype=dtype
        ),
    }


def differences(runs: dict[str, Run]) -> dict[str, float]:
    """Return how far the logits of each lie from transformers'."""
    arrays = {name: run() for name, run in runs.items()}
    return {name: float(np.abs(array - arrays["transformers"]).max()) for name, array in arrays.items()}


def full_row(models: dict[str, Any], title: str, dtype: str, rate: float, rounds: int) -> Facts:
    """Measure rows without padding."""
    batch, seq = FULL[title]
    ids = {"input_ids": np.random.default_rng(0).integers(1000, 30_000, size=(batch, seq))}
    runs = {
        name: torch_run(model, [ids]) if isinstance(model, torch.nn.Module) else jax_run(model, [ids])
        for name, model in models.items()
        if isinstance(model, torch.nn.Module) or (title, dtype) in COMPILED
    }
    row = {"title": title, "dtype": dtype, "difference": differences(runs), **timed(runs, rounds), "matrix_rate": rate}
    return {**row, "share": {name: operations(batch, seq) / s / rate for name, s in row["seconds"].items()}}


def padded_batches(folder: Path, batch: int) -> list[Batch]:
    """Return SST-2's sentences in padded batches."""
    tokenizer = DistilBertTokenizerFast.from_pretrained(folder / "pt" / HEAD)
    texts = read_texts(folder)[: SENTENCES // batch * batch or batch]
    parts = [texts[start : start + batch] for start in range(0, len(texts), batch)]
    return [dict(tokenizer(part, padding=True, truncation=True, max_length=128, return_tensors="np")) for part in parts]


def padded_row(models: dict[str, Any], folder: Path, batch: int, dtype: str, rounds: int) -> Facts:
    """Measure SST-2's sentences in padded batches."""
    batches = padded_batches(folder, batch)
    runs = {
        "transformers": torch_run(models["transformers"], batches),
        "PyTorch": torch_run(models["PyTorch"], batches),
        "PyTorch, unpad=True": torch_run(models["PyTorch"], batches, unpad=True),
    }
    if dtype == "bfloat16":
        runs["Flax"] = jax_run(models["Flax"], batches)
    row = {"title": f"SST-2 dev, first half, {batch} at a time", "dtype": dtype, "difference": differences(runs)}
    return {**row, **timed(runs, max(3, rounds // 3))}


def parity(checkpoint: Path) -> dict[str, dict[str, float]]:
    """Return the largest difference of each two families in each dtype, as `distilbert parity` shows it."""
    furthest: dict[str, dict[str, float]] = {}
    for dtype in DTYPES:
        rows = compare(checkpoint, list(FRAMEWORKS.values()), device="gpu", dtype=dtype).rows
        furthest[dtype] = {pair: max(row.differences[pair] for row in rows) for pair in rows[0].differences}
    return furthest


def timed(runs: dict[str, Run], rounds: int) -> Facts:
    """Return the seconds of each, and how many rounds were run."""
    return {"rounds": rounds, "seconds": clock(runs, rounds)}


def masked_lm_row(folder: Path, dtype: str, rounds: int) -> Facts:
    """Measure a masked-LM step on 16 rows of 512: time and peak memory."""
    rng = np.random.default_rng(0)
    ids = torch.from_numpy(rng.integers(1000, 30_000, size=(16, 512))).cuda()
    labels = torch.where(torch.from_numpy(rng.random((16, 512)) < 0.15).cuda(), ids, -100)
    path, runs, memory, losses = folder / "pt" / "ForMaskedLM", {}, {}, {}
    for name, module in (("transformers", transformers), ("PyTorch", distilbert_pt)):
        model = module.DistilBertForMaskedLM.from_pretrained(path, dtype=getattr(torch, dtype)).cuda().eval()
        options = {"loss_only": True} if name == "PyTorch" else {}

        def run(model: Any = model, options: Any = options) -> np.ndarray:
            loss = model(input_ids=ids, labels=labels, **options).loss
            loss.backward()
            model.zero_grad()
            return loss.detach().float().cpu().numpy()

        losses[name], runs[name] = float(run()), run
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        memory[name] = (torch.cuda.max_memory_allocated() - before) / 2**20
    difference = {name: abs(loss - losses["transformers"]) for name, loss in losses.items()}
    row = {"title": MASKED, "dtype": dtype, "difference": difference}
    return {**row, "memory": memory, **timed(runs, rounds)}


def measure(folder: Path, dtype: str, rounds: int, only: str, keep: Callable[[Facts], None]) -> None:
    """Measure the rows of one dtype."""
    padded = {f"SST-2 dev, first half, {batch} at a time": batch for batch in (32, 256)}
    titles = [title for title in (*FULL, *padded, MASKED) if only in f"{title} {dtype}"]
    if not titles:
        return
    implementations, rate = models(folder, dtype), matrix_rate(dtype)
    for title in titles:
        if title in FULL:
            keep(full_row(implementations, title, dtype, rate, rounds))
        elif title in padded:
            keep(padded_row(implementations, folder, padded[title], dtype, rounds))
        else:
            keep(masked_lm_row(folder, dtype, rounds))


def main() -> None:
    """Measure everything and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "gpu.json")
    parser.add_argument("--parity", type=Path, help="a checkpoint that the three families are compared on")
    parser.add_argument("--only", default="", help="rows whose title and dtype hold this; the others stay as they are")
    options = parser.parse_args()
    jax.config.update("jax_default_matmul_precision", "highest")  # of float32: no TensorFloat-32, as in PyTorch
    names = ("torch", "transformers", "jax", "flax", "keras")
    facts = read_figures(options.out, {"rows": []})
    facts["device"], facts["versions"] = torch.cuda.get_device_name(), versions_of(names)
    if options.parity is not None:
        facts["parity"], facts["parity_of"] = parity(options.parity), options.parity.name

    def keep(row: Facts) -> None:
        others = [old for old in facts["rows"] if (old["title"], old["dtype"]) != (row["title"], row["dtype"])]
        facts["rows"] = [*others, row]
        write_figures(options.out, facts)
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_models(folder, ("pt",))
        write_batches(folder)
        for dtype in DTYPES:
            measure(folder, dtype, options.rounds, options.only, keep)


if __name__ == "__main__":
    main()
