"""ExecuTorch, PyTorch's runtime for phones and small devices, with the kernels of XNNPACK.

Its memory is planned for the largest inputs when the file is written, hence the small number of rows.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_deploy.runtimes import require_module
from distilbert_deploy.samples import Batch
from distilbert_deploy.targets.job import Job
from distilbert_deploy.targets.torch_export import exported_program
from distilbert_deploy.verification import Run

__all__ = ["PRECISIONS", "open_run", "write"]

PRECISIONS = ("float32",)
_MAX_ROWS = 8
_MAX_CHOICES = 4
"""Of each of two rows."""
_PACKAGE = ("executorch", "executorch")
"""What is installed, and the extra that does it."""


def write(job: Job, directory: Path) -> list[Path]:
    """Write `model.pte`, which takes int64 ids of at least two tokens, in up to eight rows, or two of four choices."""
    exir = require_module("executorch.exir", *_PACKAGE)
    xnnpack = require_module("executorch.backends.xnnpack.partition.xnnpack_partitioner", *_PACKAGE)
    max_batch = _MAX_ROWS // _MAX_CHOICES if job.weights.is_multiple_choice else _MAX_ROWS
    program = exported_program(job, max_batch, _MAX_CHOICES)
    outputs = program.call_spec.out_spec
    names = " ".join(outputs.unflatten(range(outputs.num_leaves)))  # a dict, whose order is that of the outputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of PyTorch about how ExecuTorch calls it
        edge = exir.to_edge_transform_and_lower(
            program, partitioner=[xnnpack.XnnpackPartitioner()], constant_methods={"output_names": names}
        )
        buffer = edge.to_executorch().buffer
    path = directory / "model.pte"
    path.write_bytes(buffer)
    return [path]


def open_run(files: list[Path]) -> Run:
    """Return what runs the file in ExecuTorch; more rows than it takes run in turn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the Python interface is experimental
        runtime = require_module("executorch.runtime", *_PACKAGE)
    import torch

    program = runtime.Runtime.get().load_program(files[0])
    forward = program.load_method("forward")
    [names] = program.load_method("output_names").execute([])
    max_batch = forward.metadata.input_tensor_meta(0).sizes()[0]

    def run(batch: Batch) -> dict[str, Any]:
        inputs = [torch.from_numpy(batch[name]) for name in ("input_ids", "attention_mask")]
        parts = [forward.execute(list(rows)) for rows in zip(*(x.split(max_batch) for x in inputs), strict=True)]
        return {name: np.concatenate(values) for name, *values in zip(names.split(), *parts, strict=True)}

    return run
