"""The libraries that only training and evaluation need, asked for by name when they are missing."""

from __future__ import annotations

from importlib.util import find_spec

from distilbert_common.errors import MissingFrameworkError

__all__ = ["require_train_extra"]

_MODULES = ("datasets", "matplotlib", "sklearn", "tensorboardX")
_PACKAGES = {"sklearn": "scikit-learn"}
"""The packages that have other names than their modules."""


def require_train_extra(asked_for: str) -> None:
    """Require the libraries of the extra `train`.

    Args:
        asked_for: What needs them, as "fine-tuning".

    Raises:
        MissingFrameworkError: One is not installed; the message holds the command that installs it.
    """
    for module in _MODULES:
        if find_spec(module) is None:
            raise MissingFrameworkError(asked_for, _PACKAGES.get(module, module), "train")
