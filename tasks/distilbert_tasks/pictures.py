"""Pictures of runs and models: figures by matplotlib, without a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distilbert_common.errors import MissingFrameworkError
from distilbert_common.files import replacing

__all__ = ["new_figure", "save_figure"]


def new_figure(asked_for: str, width: float, height: float) -> Any:
    """Return an empty figure.

    Args:
        asked_for: What it is for, for the message.
        width: In inches.
        height: In inches.

    Raises:
        MissingFrameworkError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingFrameworkError(asked_for, "matplotlib", "train") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG, whole or not at all; the same figure gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png", metadata={"Software": None})
