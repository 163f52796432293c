"""The versions that a run depends on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["versions_of"]

_PACKAGES = {"pt": ("torch",), "tf": ("keras", "tensorflow"), "flax": ("flax", "jax")}


def versions_of(framework: str) -> dict[str, str]:
    """Return the versions of Python, of this project, and of what a framework consists of."""
    packages = ("distilbert", *_PACKAGES[framework], "numpy", "datasets")
    return {"python": platform.python_version(), **{name: _version(name) for name in packages}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
