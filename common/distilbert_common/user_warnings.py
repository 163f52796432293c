"""Warnings that name the user's line, however many of our own functions lie between."""

from __future__ import annotations

import inspect
import warnings

__all__ = ["warn_user"]

_OURS = (
    "distilbert_common", "distilbert_conversion", "distilbert_pt", "distilbert_tf", "distilbert_flax",
    "distilbert_tasks",
    "distilbert_deploy",
)  # fmt: skip


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line outside this project's packages that led here."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _OURS:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
