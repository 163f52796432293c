"""ExecuTorch, PyTorch's runtime for phones and small devices, with the kernels of XNNPACK.

Its memory is planned for the largest inputs when the file is written, hence the small number of rows.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_deploy.errors import ExportError
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
_LOGGERS = ("torchao", "torch.utils._pytree")


def write(job: Job, directory: Path) -> list[Path]:
    """Write `model.pte`, which takes int64 ids of at least two tokens, in up to eight rows, or two of four choices."""
    with _capture_stderr():
        exir = require_module("executorch.exir", *_PACKAGE)
        xnnpack = require_module("executorch.backends.xnnpack.partition.xnnpack_partitioner", *_PACKAGE)
    max_batch = _MAX_ROWS // _MAX_CHOICES if job.weights.is_multiple_choice else _MAX_ROWS
    program = exported_program(job, max_batch, _MAX_CHOICES)
    outputs = program.call_spec.out_spec
    names = " ".join(outputs.unflatten(range(outputs.num_leaves)))  # a dict, whose order is that of the outputs
    with _capture_stderr():
        edge = exir.to_edge_transform_and_lower(
            program, partitioner=[xnnpack.XnnpackPartitioner()], constant_methods={"output_names": names}
        )
        buffer = edge.to_executorch().buffer
    path = directory / "model.pte"
    path.write_bytes(buffer)
    return [path]


def open_run(files: list[Path]) -> Run:
    """Return what runs the file in ExecuTorch; more rows than it takes run in turn."""
    with _capture_stderr():
        runtime = require_module("executorch.runtime", *_PACKAGE)
        program = runtime.Runtime.get().load_program(files[0])
        forward = program.load_method("forward")
        [names] = program.load_method("output_names").execute([])
    import torch

    max_batch = forward.metadata.input_tensor_meta(0).sizes()[0]

    def run(batch: Batch) -> dict[str, Any]:
        inputs = [torch.from_numpy(batch[name]) for name in ("input_ids", "attention_mask")]
        try:
            with _capture_stderr() as stderr:
                parts = [forward.execute(list(x)) for x in zip(*(x.split(max_batch) for x in inputs), strict=True)]
        except RuntimeError as error:
            reason = " ".join([str(error), *stderr.getvalue().splitlines()[:1]])
            raise ExportError(
                f"ExecuTorch cannot run the export for inputs {tuple(inputs[0].shape)}: {reason}"
            ) from error
        return {name: np.concatenate(values) for name, *values in zip(names.split(), *parts, strict=True)}

    return run


@contextmanager
def _capture_stderr() -> Iterator[StringIO]:
    """Hold back what ExecuTorch and torchao tell of themselves and of how they call PyTorch, in any way they have.

    Yields:
        What came on standard error.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()) as stderr:
            warnings.simplefilter("ignore")
            yield stderr
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
