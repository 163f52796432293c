"""ONNX, for ONNX Runtime in every language, transformers.js and Optimum: no framework is needed to write it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.files import replacing
from distilbert_deploy.errors import ExportError
from distilbert_deploy.onnx_files import FOLDER, NAMES
from distilbert_deploy.runtimes import require_module
from distilbert_deploy.session import open_session
from distilbert_deploy.targets.job import Job
from distilbert_deploy.verification import Run

__all__ = ["PRECISIONS", "open_run", "write"]

PRECISIONS = ("float32", "float16", "int8")
_LARGEST = 2**31 - 1


def write(job: Job, directory: Path) -> list[Path]:
    """Write `onnx/model.onnx`, or the file of another precision, into a folder.

    Raises:
        MissingFrameworkError: The package onnx is not installed.
        ExportError: The model is too large for one file.
    """
    require_module("onnx", "onnx", "export", "an export to ONNX")
    model = _build(job)
    if model.ByteSize() > _LARGEST:
        raise ExportError("the model is larger than 2 GB, which an ONNX file cannot hold; export it with dtype float16")
    path = directory / FOLDER / NAMES[job.precision]
    path.parent.mkdir(parents=True)
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
    return [path]


def _build(job: Job) -> Any:
    from distilbert_deploy.onnx_model import build_model

    options: dict[str, Any] = {"opset": job.opset, "metadata": job.metadata}
    if job.precision == "int8":
        from distilbert_deploy.calibration import activation_ranges
        from distilbert_deploy.onnx_model.quantized import QuantizedLayers

        ranges = activation_ranges(job.weights, job.calibration, job.opset) if job.calibration else None
        options["make_layers"] = partial(QuantizedLayers, ranges=ranges, reduce_range=job.reduce_range)
    elif job.precision == "float16":
        options["float_dtype"] = np.float16
    return build_model(job.weights, **options)


def open_run(files: list[Path]) -> Run:
    """Return what runs the file in ONNX Runtime."""
    session = open_session(files[0])
    names = [one.name for one in session.get_outputs()]
    return lambda batch: dict(zip(names, session.run(names, batch), strict=True))
