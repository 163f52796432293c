"""The engine of a family, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from distilbert_common.errors import InputError
from distilbert_common.frameworks import MODULES, require

__all__ = ["TEACHABLE", "check_teachable", "compiles_each_shape", "engine_module"]

TEACHABLE = ("pt",)
"""The families whose engines take a teacher."""


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


def check_teachable(framework: str) -> None:
    """Require a family whose engine takes a teacher; what is no family at all is for `engine_module` to refuse.

    Raises:
        InputError: It does not.
    """
    if framework in MODULES and framework not in TEACHABLE:
        raise InputError(
            f"a student learns from a teacher in {', '.join(TEACHABLE)} so far, not in {framework!r}; pass "
            f"framework={TEACHABLE[0]!r} (--framework {TEACHABLE[0]}): what comes of it opens in every framework"
        )


def compiles_each_shape(framework: str) -> bool:
    """Return whether each new shape costs a compilation, so that batches are to have few of them."""
    return framework != "pt"
