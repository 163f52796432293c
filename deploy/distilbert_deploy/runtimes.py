"""Packages of runtimes, asked for when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from distilbert_common.errors import MissingFrameworkError

__all__ = ["require_module"]


def require_module(module: str, package: str, extra: str, asked_for: str = "this export") -> Any:
    """Import a module of a runtime.

    Args:
        module: Its name.
        package: What is installed to have it.
        extra: The extra of this project that installs it.
        asked_for: What needs it, for the message.

    Raises:
        MissingFrameworkError: It is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingFrameworkError(asked_for, package, extra) from error
