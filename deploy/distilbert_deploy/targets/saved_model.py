"""TensorFlow's SavedModel, written by Keras: for TensorFlow Serving, TFX and TensorFlow in other languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distilbert_deploy.runtimes import require_module
from distilbert_deploy.samples import Batch
from distilbert_deploy.targets.families import load_in
from distilbert_deploy.targets.job import Job
from distilbert_deploy.verification import Run

__all__ = ["PRECISIONS", "open_run", "write"]

PRECISIONS = ("float32",)


def write(job: Job, directory: Path) -> list[Path]:
    """Write the folder `saved_model`, with signatures for int32 and int64 ids."""
    path = directory / "saved_model"
    load_in("tf", job.weights).export(path, verbose=False)
    return [path]


def open_run(files: list[Path]) -> Run:
    """Return what runs the folder in TensorFlow."""
    tensorflow = require_module("tensorflow", "tensorflow", "tf")
    loaded = tensorflow.saved_model.load(str(files[0]))

    def run(batch: Batch) -> dict[str, Any]:
        outputs = loaded.signatures["serve_int64"](**{name: tensorflow.constant(x) for name, x in batch.items()})
        return {name: x.numpy() for name, x in outputs.items()}

    return run
