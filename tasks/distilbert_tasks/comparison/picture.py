"""A comparison of two models as a picture."""

from __future__ import annotations

from pathlib import Path

from distilbert_tasks.comparison.result import Comparison
from distilbert_tasks.pictures import new_figure, save_figure

__all__ = ["draw_comparison"]

TEACHER, STUDENT = "#9aa5b1", "#2b6cb0"


def draw_comparison(comparison: Comparison, path: Path) -> None:
    """Draw each figure of the student as a share of the teacher's, with both figures beside it.

    Args:
        comparison: The figures.
        path: The PNG file to write.

    Raises:
        MissingFrameworkError: matplotlib is not installed.
    """
    bars = _bars(comparison)
    figure = new_figure("a picture of a comparison", 8.0, 1.4 + 0.5 * len(bars))
    axes = figure.subplots()
    positions = range(len(bars))
    axes.barh(positions, [share for _, share, _ in bars], color=STUDENT, height=0.6)
    axes.axvline(1.0, color=TEACHER, linewidth=2, label="teacher")
    for position, (_, share, figures) in zip(positions, bars, strict=True):
        axes.text(max(share, 0.0) + 0.02, position, figures, va="center", fontsize=8)
    axes.set_yticks(positions, [name for name, _, _ in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.45 * max(1.0, *(share for _, share, _ in bars)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xlabel("the student's figure, as a share of the teacher's")
    axes.legend(loc="lower right")
    save_figure(figure, path)


def _bars(comparison: Comparison) -> list[tuple[str, float, str]]:
    """Return for each bar its name, its length and what is written beside it."""
    figures = {what: f"{share} ({one} to {other})" for what, one, other, share in comparison.rows()}
    ratios = comparison.ratios
    bars = [
        ("parameters", ratios["parameters"], figures["parameters"]),
        ("size", ratios["size"], figures["size, MB"]),
        ("speed, one text", ratios["latency"], figures["one text, ms"]),
        ("speed, batches", ratios["throughput"], figures["tokens/s"]),
        *((name, share, figures[name]) for name, share in comparison.retained.items()),
    ]
    if comparison.agreement is not None:
        bars.append(("same predictions", comparison.agreement, f"{comparison.agreement:.1%}"))
    return bars
