"""PyTorch's exported programs: for AOTInductor, and for `torch.export.load` without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distilbert_deploy.errors import ExportError
from distilbert_deploy.runtimes import require_module
from distilbert_deploy.samples import Batch
from distilbert_deploy.targets.families import load_in
from distilbert_deploy.targets.job import Job
from distilbert_deploy.verification import Run

__all__ = ["PRECISIONS", "exported_program", "open_run", "write"]

PRECISIONS = ("float32", "bfloat16")
_MAX_BATCH = 1 << 16
_MIN_SEQ = 2


def write(job: Job, directory: Path) -> list[Path]:
    """Write `model.pt2`, which takes int64 ids of any batch, and of at least two tokens."""
    program = exported_program(job, max_batch=_MAX_BATCH, max_choices=_MAX_BATCH)
    import torch

    path = directory / "model.pt2"
    torch.export.save(program, path)
    return [path]


def exported_program(job: Job, max_batch: int, max_choices: int) -> Any:
    """Return the model as PyTorch exports it, for up to so many rows, each of up to so many choices.

    Raises:
        ExportError: The model takes so few tokens that their number cannot vary.
    """
    positions = job.weights.config.max_position_embeddings
    if positions <= _MIN_SEQ:
        raise ExportError(
            f"max_position_embeddings is {positions}; PyTorch exports models that take more than {_MIN_SEQ} tokens: "
            "export to onnx"
        )
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

    batch = torch.export.Dim("batch", min=1, max=max_batch)
    choices = torch.export.Dim("choices", min=1, max=max_choices)
    seq = torch.export.Dim("seq", min=_MIN_SEQ, max=positions)
    tokens = min(4, positions)
    axes, shape = ([batch, choices, seq], (2, 3, tokens)) if is_multiple_choice else ([batch, seq], (2, tokens))
    inputs = {name: torch.ones(shape, dtype=torch.int64) for name in ("input_ids", "attention_mask")}
    sizes = {name: dict(enumerate(axes)) for name in inputs}
    with torch.no_grad():
        return torch.export.export(Outputs().eval(), (), inputs, dynamic_shapes=sizes)


def open_run(files: list[Path]) -> Run:
    """Return what runs the file in PyTorch."""
    torch = require_module("torch", "torch", "pt")
    program = torch.export.load(files[0]).module()

    def run(batch: Batch) -> dict[str, Any]:
        with torch.inference_mode():
            outputs = program(**{name: torch.from_numpy(x) for name, x in batch.items()})
        return {name: x.numpy() for name, x in outputs.items()}

    return run
