"""The libraries that only training and evaluation need, asked for by name when they are missing."""

from __future__ import annotations

from importlib.util import find_spec

from distilbert_common.errors import MissingFrameworkError

__all__ = ["require_train_extra"]

_LIBRARIES = {
    "datasets": "datasets",
    "matplotlib": "matplotlib",
    "sklearn": "scikit-learn",
    "tensorboardX": "tensorboardX",
}


def require_train_extra(asked_for: str) -> None:
    """Require the libraries of the extra `train`.

    Args:
        asked_for: What needs them, as "fine-tuning".

    Raises:
        MissingFrameworkError: One is not installed; the message holds the command that installs it.
    """
    for module, package in _LIBRARIES.items():
        if find_spec(module) is None:
            raise MissingFrameworkError(asked_for, package, "train")
