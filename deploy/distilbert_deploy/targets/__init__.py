"""The formats that a model can be exported to, each imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from distilbert_deploy.errors import ExportError

__all__ = ["TARGETS", "target_module"]

TARGETS = {
    "onnx": "onnx",
    "openvino": "openvino",
    "saved-model": "saved_model",
    "litert": "litert",
    "stablehlo": "stablehlo",
    "torch-export": "torch_export",
    "executorch": "executorch",
}
"""The module of each target: its `write` writes a model into a folder, its `open_run` opens what lies there."""


def target_module(target: str) -> Any:
    """Return the module of a target.

    Raises:
        ExportError: There is no such target.
    """
    if target not in TARGETS:
        raise ExportError(f"the target is {target!r}; expected one of {', '.join(TARGETS)}")
    return import_module(f"distilbert_deploy.targets.{TARGETS[target]}")
