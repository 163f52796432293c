"""Which packages a family consists of, and which version of a package is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["FAMILY_PACKAGES", "installed_version"]

FAMILY_PACKAGES: dict[str, tuple[str, ...]] = {"pt": ("torch",), "tf": ("keras", "tensorflow"), "flax": ("flax", "jax")}
"""The packages by whose versions the numbers of a family may differ in the last digit."""


def installed_version(package: str) -> str | None:
    """Return the version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
