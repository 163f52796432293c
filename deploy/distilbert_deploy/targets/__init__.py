"""The formats that a model can be exported to, each imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from distilbert_deploy.errors import ExportError
from distilbert_deploy.onnx_files import FOLDER

__all__ = ["TARGETS", "Target", "target_module"]


class Target(NamedTuple):
    """What is to be known of a target before its module is imported.

    Attributes:
        module: The name of the module: its `PRECISIONS` are what it can be exported in, its `write` writes a model into
            a folder, its `open_run` opens what lies there.
        folder: The folder that its exports have of their own, which `overwrite` may replace; None for none.
        takes_opset: Whether it is made of an ONNX model, whose version of operators can be chosen.
    """

    module: str
    folder: str | None = None
    takes_opset: bool = False


TARGETS = {
    "onnx": Target("onnx", folder=FOLDER, takes_opset=True),
    "openvino": Target("openvino", takes_opset=True),
    "saved-model": Target("saved_model", folder="saved_model"),
    "litert": Target("litert"),
    "stablehlo": Target("stablehlo"),
    "torch-export": Target("torch_export"),
    "executorch": Target("executorch"),
}
"""The targets by name."""


def target_module(target: str) -> Any:
    """Return the module of a target.

    Raises:
        ExportError: There is no such target.
    """
    if target not in TARGETS:
        raise ExportError(f"the target is {target!r}; expected one of {', '.join(TARGETS)}")
    return import_module(f"distilbert_deploy.targets.{TARGETS[target].module}")
