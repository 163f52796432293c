"""The engine of a family, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from distilbert_common.errors import InputError
from distilbert_common.frameworks import MODULES, require

__all__ = ["compiles_each_shape", "engine_module"]


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


def compiles_each_shape(framework: str) -> bool:
    """Return whether each new shape costs a compilation, so that batches are to have few of them."""
    return framework != "pt"
