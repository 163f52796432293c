"""StableHLO, written by JAX from the Flax model: one file for CPU, CUDA and TPU, with the weights inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from distilbert_deploy.runtimes import require_module
from distilbert_deploy.samples import Batch
from distilbert_deploy.targets.families import load_in
from distilbert_deploy.targets.job import Job
from distilbert_deploy.verification import Run

__all__ = ["PRECISIONS", "open_run", "write"]

PRECISIONS = ("float32", "bfloat16")
_PLATFORMS = ("cpu", "cuda", "tpu")


def write(job: Job, directory: Path) -> list[Path]:
    """Write `model.stablehlo`, which `jax.export.deserialize` opens; it takes int32 ids of any batch and length."""
    model, is_multiple_choice = load_in("flax", job.weights, job.precision), job.weights.is_multiple_choice
    import jax

    def call(input_ids: Any, attention_mask: Any) -> dict[str, Any]:
        shape = input_ids.shape
        if is_multiple_choice:  # whose Python code counts the choices
            input_ids, attention_mask = (x.reshape(-1, 1, shape[2]) for x in (input_ids, attention_mask))
        outputs = model.forward(input_ids=input_ids, attention_mask=attention_mask, return_dict=True)
        named = {"logits": outputs.logits.reshape(shape[:2])} if is_multiple_choice else dict(outputs)
        return {name: x.astype(np.float32) for name, x in named.items()}

    axes = "batch, choices, seq" if is_multiple_choice else "batch, seq"
    limit = f"seq <= {job.weights.config.max_position_embeddings}"
    shape = jax.export.symbolic_shape(axes, constraints=[limit])
    inputs = [jax.ShapeDtypeStruct(shape, np.int32)] * 2
    exported = jax.export.export(jax.jit(call), platforms=_PLATFORMS)(*inputs)
    path = directory / "model.stablehlo"
    path.write_bytes(exported.serialize())
    return [path]


def open_run(files: list[Path]) -> Run:
    """Return what runs the file in JAX."""
    jax = require_module("jax", "jax", "flax")
    exported = jax.export.deserialize(bytearray(files[0].read_bytes()))

    def run(batch: Batch) -> dict[str, Any]:
        outputs = exported.call(batch["input_ids"].astype(np.int32), batch["attention_mask"].astype(np.int32))
        return {name: np.asarray(x) for name, x in outputs.items()}

    return run
