"""LiteRT, once TensorFlow Lite, written by Keras: for phones and small devices."""

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

PRECISIONS = ("float32",)


def write(job: Job, directory: Path) -> list[Path]:
    """Write `model.tflite`, which takes int32 ids of any batch and length."""
    path = directory / "model.tflite"
    load_in("tf", job.weights).export(str(path), format="litert", verbose=False)
    return [path]


def open_run(files: list[Path]) -> Run:
    """Return what runs the file in LiteRT."""
    litert = require_module("ai_edge_litert.interpreter", "ai-edge-litert", "litert")
    interpreter = litert.Interpreter(model_path=str(files[0]))

    def run(batch: Batch) -> dict[str, Any]:
        signature = interpreter.get_signature_runner("serving_default")
        outputs: dict[str, Any] = signature(**{name: x.astype(np.int32) for name, x in batch.items()})
        return outputs

    return run
