"""Which frameworks the three families need, in which versions they are here, and what is said of one that is not."""

from __future__ import annotations

import importlib
import importlib.util
import os

from distilbert_common.errors import MissingFrameworkError

__all__ = ["MODULES", "PACKAGES", "installed_version", "is_installed", "modules", "require"]

MODULES: dict[str, tuple[str, ...]] = {
    "pt": ("torch",),
    "tf": ("keras", "tensorflow"),
    "flax": ("jax", "flax.nnx"),
}
"""The modules of each family, which is also the name of the extra; `flax.nnx`, as a bare folder imports as `flax`."""

PACKAGES: dict[str, tuple[str, ...]] = {
    family: tuple(module.partition(".")[0] for module in modules) for family, modules in MODULES.items()
}
"""The packages of each family, by whose versions its numbers may differ in the last digit."""


def modules(family: str) -> tuple[str, ...]:
    """Return the modules that a family needs here: Keras on another backend does without TensorFlow."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    return ("keras", backend) if family == "tf" and backend in ("jax", "torch") else MODULES[family]


def is_installed(family: str) -> bool:
    """Whether the framework of a family is there to be imported; nothing is."""
    return all(map(_is_there, modules(family)))


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a module in a package that is not there
        return False


def require(family: str) -> None:
    """Import the framework of a family.

    Args:
        family: A key of `MODULES`.

    Raises:
        MissingFrameworkError: It is not installed; the message holds the command that installs it.
    """
    needed = [module.partition(".")[0] for module in modules(family)]
    for module in modules(family):
        try:
            importlib.import_module(module)
        except ImportError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in needed:
                raise  # it is installed, and broken: its own message says more
            raise MissingFrameworkError(f"distilbert_{family}", missing, family) from error


def installed_version(package: str) -> str | None:
    """Return the version of a package; None where it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None
