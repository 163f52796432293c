"""The curves of a run as a picture: the loss, the learning rate, and the metric that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distilbert_tasks.pictures import new_figure, save_figure

__all__ = ["draw_curves"]


def draw_curves(lines: Sequence[Mapping[str, Any]], metric: str | None, path: Path) -> None:
    """Write the curves of a run as PNG.

    Args:
        lines: Those of `metrics.jsonl`.
        metric: The one by which the best weights are chosen; None without validation data.
        path: The file to write.

    Raises:
        MissingFrameworkError: matplotlib is not installed.
    """
    terms = sorted({name for line in lines for name in line if name.startswith("loss_")})
    panels = [("loss", ("train", "validation")), *((name, ("train",)) for name in terms), ("learning_rate", ("train",))]
    if metric not in (None, "loss"):
        panels.insert(1, (str(metric), ("validation",)))
    figure = new_figure("a picture of the curves", 4.5 * len(panels), 3.6)
    for axes, (name, kinds) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        _draw(axes, lines, name, kinds)
    save_figure(figure, path)


def _draw(axes: Any, lines: Sequence[Mapping[str, Any]], name: str, kinds: Sequence[str]) -> None:
    for kind in kinds:
        points = [(line["step"], line[name]) for line in lines if line["kind"] == kind and line.get(name) is not None]
        if points:
            axes.plot(*zip(*points, strict=True), label=kind, marker="o" if len(points) < 20 else None, markersize=3)
    axes.set_xlabel("step")
    axes.set_title(name.replace("_", " "))
    axes.grid(alpha=0.3)
    if len(kinds) > 1:
        axes.legend()
