"""One implementation in a process of its own: it loads the model and runs workloads as they are asked for.

    python benchmarks/speed_worker.py IMPLEMENTATION FOLDER

FOLDER holds the checkpoints and batches that `speed.py` made. Each line read is the name of a workload; each line
written is a JSON object with the seconds of one round and the numbers that came out.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
Batch = dict[str, np.ndarray]
Run = Callable[[list[Batch]], np.ndarray]
PACKED_LENGTH, PACKED_ROWS, PACKED_SEGMENTS = 128, 8, 32


def read_batches(folder: Path, workload: str) -> list[Batch]:
    """Return the batches of a workload."""
    with np.load(folder / f"{workload}.npz") as arrays:
        names = sorted({name.split("/")[0] for name in arrays})
        keys = {name.split("/")[1] for name in arrays}
        return [{key: arrays[f"{name}/{key}"] for key in keys if f"{name}/{key}" in arrays} for name in names]


def load(implementation: str, folder: Path, head: str, **options: Any) -> Any:
    """Return a model of one implementation."""
    side, framework = implementation.split("-")
    prefix = {"pt": "", "tf": "TF", "flax": "Flax"}[framework]
    module = importlib.import_module(f"distilbert_{framework}" if side == "ours" else "transformers")
    return getattr(module, f"{prefix}DistilBert{head}").from_pretrained(folder / framework / head, **options)


def forward_pt(implementation: str, folder: Path, workload: str) -> Run:
    """Return what runs batches in PyTorch."""
    import torch

    half = {"dtype": torch.bfloat16} if "bfloat16" in workload else {}
    model = load(implementation, folder, "ForSequenceClassification", **half).eval()

    def run(batches: list[Batch]) -> np.ndarray:
        with torch.inference_mode():
            found = [model(**{k: torch.from_numpy(v) for k, v in batch.items()}).logits.float() for batch in batches]
        return torch.cat(found).numpy()

    return run


def forward_tf(implementation: str, folder: Path, workload: str) -> Run:
    """Return what runs batches in TensorFlow: our default call, transformers' call in a `tf.function` of open sizes."""
    import tensorflow as tf

    model = load(implementation, folder, "ForSequenceClassification")

    @tf.function(reduce_retracing=True)
    def call(batch: dict[str, Any]) -> Any:
        return model(batch, training=False).logits

    def run(batches: list[Batch]) -> np.ndarray:
        if implementation.startswith("ours"):
            return np.concatenate([model(**batch).logits.numpy() for batch in batches])
        return np.concatenate([call({k: tf.constant(v) for k, v in batch.items()}).numpy() for batch in batches])

    return run


def forward_flax(implementation: str, folder: Path, workload: str) -> Run:
    """Return what runs batches in Flax: our default call, transformers' call compiled by `jax.jit`."""
    import jax

    model = load(implementation, folder, "ForSequenceClassification")
    jitted = jax.jit(lambda params, batch: model(**batch, params=params).logits)

    def run(batches: list[Batch]) -> np.ndarray:
        if implementation.startswith("ours"):
            return np.concatenate([np.asarray(model(**batch).logits) for batch in batches])
        return np.concatenate([np.asarray(jitted(model.params, batch)) for batch in batches])

    return run


def packed_flax(implementation: str, folder: Path, workload: str) -> Run:
    """Return what packs sentences and runs rows of one shape; transformers has padded batches only."""
    if not implementation.startswith("ours"):
        return forward_flax(implementation, folder, workload)
    from distilbert_common.packing import pack

    model = load(implementation, folder, "ForSequenceClassification")

    def run(batches: list[Batch]) -> np.ndarray:
        lists = []
        for batch in batches:
            sizes = batch["attention_mask"].sum(axis=1)  # (batch,)
            lists += [ids[:size].tolist() for ids, size in zip(batch["input_ids"], sizes, strict=True)]
        packed = pack(lists, PACKED_LENGTH, rows_multiple=PACKED_ROWS)
        found = []
        for start in range(0, len(packed.input_ids), PACKED_ROWS):
            part = {name: array[start : start + PACKED_ROWS] for name, array in packed.inputs.items()}
            found.append(np.asarray(model(**part, num_segments=PACKED_SEGMENTS).logits))
        return packed.unpack_lists(np.concatenate(found))

    return run


def step_pt(implementation: str, folder: Path, workload: str) -> Run:
    """Return what takes a step of training in PyTorch: forward, backward, AdamW; without dropout, to be compared."""
    import torch

    head = "ForMaskedLM" if "masked" in workload else "ForSequenceClassification"
    model = load(implementation, folder, head).train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.config.attention_dropout = 0.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-7)
    options = {"return_logits": False} if head == "ForMaskedLM" and implementation.startswith("ours") else {}

    def run(batches: list[Batch]) -> np.ndarray:
        losses = []
        for batch in batches:
            optimizer.zero_grad()
            loss = model(**{k: torch.from_numpy(v) for k, v in batch.items()}, **options).loss
            loss.backward()
            optimizer.step()
            losses.append(float(loss))
        return np.array(losses)

    return run


def tokenize(implementation: str, folder: Path, workload: str) -> Run:
    """Return what tokenizes sentences into padded arrays."""
    module = importlib.import_module("distilbert_common" if implementation.startswith("ours") else "transformers")
    tokenizer = module.DistilBertTokenizerFast.from_pretrained(folder / "pt" / "ForSequenceClassification")
    texts = json.loads((folder / "texts.json").read_text())

    def run(_: list[Batch]) -> np.ndarray:
        return tokenizer(texts, padding=True, truncation=True, max_length=128, return_tensors="np")["input_ids"].sum(1)

    return run


RUNNERS: dict[str, Callable[[str, Path, str], Run]] = {
    "forward-pt": forward_pt,
    "forward-tf": forward_tf,
    "forward-flax": forward_flax,
    "packed-flax": packed_flax,
    "step-pt": step_pt,
    "tokenize-pt": tokenize,
}


def main() -> None:
    """Answer until the input ends."""
    implementation, folder = sys.argv[1], Path(sys.argv[2])
    if implementation.startswith("ours"):
        sys.path[:0] = [str(ROOT / name) for name in ("common", "conversion", "pt", "tf", "flax")]
    out, sys.stdout = sys.stdout, sys.stderr
    runs: dict[str, Run] = {}
    for line in sys.stdin:
        task = json.loads(line)
        kind, workload = f"{task['kind']}-{implementation.split('-')[1]}", task["workload"]
        if workload not in runs:
            runs = {workload: RUNNERS[kind](implementation, folder, workload)}  # one model at a time
        batches = [] if task["kind"] == "tokenize" else read_batches(folder, workload)
        start = time.perf_counter()
        found = runs[workload](batches)
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "found": found.ravel().tolist()}), file=out, flush=True)


if __name__ == "__main__":
    main()
