"""OpenVINO, converted from the ONNX model: for Intel's CPUs, GPUs and NPUs, in the layout of Optimum.

OpenVINO does not check ids: one outside the vocabulary gives numbers that look right, and so does an input that is too
long. Whoever runs these files must check before.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distilbert_deploy.runtimes import require_module
from distilbert_deploy.samples import Batch
from distilbert_deploy.targets import onnx
from distilbert_deploy.targets.job import Job
from distilbert_deploy.verification import Run

__all__ = ["PRECISIONS", "open_run", "write"]

PRECISIONS = ("float32",)


def write(job: Job, directory: Path) -> list[Path]:
    """Write `openvino_model.xml` and `openvino_model.bin`."""
    openvino = require_module("openvino", "openvino", "openvino")
    with TemporaryDirectory() as folder:
        [file] = onnx.write(job, Path(folder))
        model = openvino.convert_model(file)
    path = directory / "openvino_model.xml"
    openvino.save_model(model, path, compress_to_fp16=False)
    return [path, path.with_suffix(".bin")]


def open_run(files: list[Path]) -> Run:
    """Return what runs the files in OpenVINO, on the CPU, in float32."""
    openvino = require_module("openvino", "openvino", "openvino")
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(files[0], "CPU", exact)

    def run(batch: Batch) -> dict[str, Any]:
        outputs = compiled(dict(batch))
        return {name.get_any_name(): x.copy() for name, x in outputs.items()}

    return run
