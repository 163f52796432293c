"""The engine of a family, or of an exported model, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from distilbert_common.errors import InputError, MissingFrameworkError
from distilbert_common.frameworks import MODULES, require

__all__ = ["ONNX", "compiles_each_shape", "engine_module", "inference_module"]

ONNX = "onnx"
"""The framework of an exported model, which predicts, and is not trained."""


def engine_module(framework: str) -> Any:
    """Return `distilbert_pt.engine`, or that of another family.

    Args:
        framework: "pt", "tf" or "flax".

    Raises:
        InputError: There is no such family.
        MissingFrameworkError: Its framework is not installed.
    """
    if framework not in MODULES:
        raise InputError(f"{framework!r} is not a framework; choose from {', '.join(MODULES)}")
    require(framework)
    return import_module(f"distilbert_{framework}.engine")


def inference_module(framework: str) -> Any:
    """Return the same, or for "onnx" `distilbert_deploy.engine`, which has what predicting needs.

    Args:
        framework: "pt", "tf", "flax" or "onnx".

    Raises:
        InputError: There is no such framework.
        MissingFrameworkError: It is not installed.
    """
    if framework not in (*MODULES, ONNX):
        raise InputError(f"{framework!r} is not a framework; choose from {', '.join((*MODULES, ONNX))}")
    if framework != ONNX:
        return engine_module(framework)
    if find_spec("onnxruntime") is None:
        raise MissingFrameworkError("an exported model", "onnxruntime", "export")
    return import_module("distilbert_deploy.engine")


def compiles_each_shape(framework: str) -> bool:
    """Return whether each new shape costs a compilation, so that batches are to have few of them."""
    return framework in ("tf", "flax")
