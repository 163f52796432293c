"""PyTorch's exported programs: for AOTInductor and ExecuTorch, and for `torch.export.load` without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distilbert_deploy.runtimes import require_module
from distilbert_deploy.samples import Batch
from distilbert_deploy.targets.families import load_in
from distilbert_deploy.targets.job import Job
from distilbert_deploy.verification import Run

__all__ = ["PRECISIONS", "open_run", "write"]

PRECISIONS = ("float32", "bfloat16")
_MAX_BATCH = 1 << 16


def write(job: Job, directory: Path) -> list[Path]:
    """Write `model.pt2`, which takes int64 ids of any batch, and of at least two tokens."""
    model, is_multiple_choice = load_in("pt", job.weights, job.precision).eval(), job.weights.is_multiple_choice
    import torch

    class Outputs(torch.nn.Module):  # type: ignore[misc]
        """The model with a plain dict of float32 tensors as its output."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> dict[str, Any]:
            shape = input_ids.shape
            if is_multiple_choice:  # the model's Python code would fix how many choices there are
                input_ids, attention_mask = (x.flatten(0, 1)[:, None] for x in (input_ids, attention_mask))
            outputs = self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, unpad=False)
            named = {"logits": outputs.logits.reshape(shape[:2])} if is_multiple_choice else dict(outputs)
            return {name: x.float() for name, x in named.items()}

    shape = (2, 3, 4) if is_multiple_choice else (2, 4)
    inputs = {name: torch.ones(shape, dtype=torch.int64) for name in ("input_ids", "attention_mask")}
    sizes = dict(enumerate(_sizes(torch, job)))
    with torch.no_grad():
        exported = torch.export.export(Outputs().eval(), (), inputs, dynamic_shapes=dict.fromkeys(inputs, sizes))
    path = directory / "model.pt2"
    torch.export.save(exported, path)
    return [path]


def _sizes(torch: Any, job: Job) -> list[Any]:
    """Return how large each axis may be."""
    batch = torch.export.Dim("batch", min=1, max=_MAX_BATCH)
    seq = torch.export.Dim("seq", min=2, max=job.weights.config.max_position_embeddings)
    choices = torch.export.Dim("choices", min=1, max=_MAX_BATCH)
    return [batch, choices, seq] if job.weights.is_multiple_choice else [batch, seq]


def open_run(files: list[Path]) -> Run:
    """Return what runs the file in PyTorch."""
    torch = require_module("torch", "torch", "pt")
    program = torch.export.load(files[0]).module()

    def run(batch: Batch) -> dict[str, Any]:
        with torch.inference_mode():
            outputs = program(**{name: torch.from_numpy(x) for name, x in batch.items()})
        return {name: x.numpy() for name, x in outputs.items()}

    return run
