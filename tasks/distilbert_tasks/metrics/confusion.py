"""A picture of which class is taken for which, readable with 2 classes and with 100."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_tasks.metrics.scores import Confusion, ratio
from distilbert_tasks.pictures import new_figure

__all__ = ["draw_confusion", "largest_confusions"]

CELL_TEXT = 20
"""Up to this many classes each cell shows its share; beyond, the color alone."""
NAME_WIDTH = 36
"""Longer class names are cut."""
LISTED = 15
"""How many confusions are listed beside the matrix."""


def largest_confusions(confusion: Confusion, count: int = LISTED) -> list[tuple[str, str, int]]:
    """Return the most frequent mistakes: the right class, the predicted class and how often, most frequent first."""
    wrong = confusion.counts * (1 - np.eye(len(confusion.names), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    rows, columns = np.unravel_index(order, wrong.shape)
    triples = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(confusion.names[i], confusion.names[j], int(wrong[i, j])) for i, j in triples if wrong[i, j]]


def draw_confusion(confusion: Confusion, path: str | Path) -> None:
    """Write the matrix as a picture: each row in shares of its class, and the largest confusions listed beside it.

    Args:
        confusion: Which class was taken for which.
        path: The PNG file to write; the same figures give the same bytes.

    Raises:
        MissingFrameworkError: matplotlib is not installed.
    """
    classes = len(confusion.names)
    side = min(max(4.0, 0.22 * classes), 22.0)  # inches
    figure = new_figure("a confusion matrix", side + 7.0, side + 2.0)
    matrix, listing = figure.subplots(1, 2, width_ratios=(side, 5.0))
    _draw_matrix(matrix, confusion, min(9.0, 72 * 0.7 * side / classes))
    _draw_list(listing, confusion)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _draw_matrix(axes: Any, confusion: Confusion, font_size: float) -> None:
    """Draw the shares, with names in a size (points) that fits."""
    classes = len(confusion.names)
    shares: NDArray[np.float64] = ratio(confusion.counts, confusion.counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [_literal(name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1]}…") for name in confusion.names]
    axes.set_xticks(range(classes), names, rotation=90 if classes > 4 else 0, fontsize=font_size)
    axes.set_yticks(range(classes), names, fontsize=font_size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("in the data")
    if classes <= CELL_TEXT:
        for (i, j), share in np.ndenumerate(shares):
            text = f"{share:.0%}\n{confusion.counts[i, j]}"
            color = "white" if share > 0.5 else "black"
            axes.text(j, i, text, ha="center", va="center", fontsize=min(8.0, font_size), color=color)


def _draw_list(axes: Any, confusion: Confusion) -> None:
    axes.axis("off")
    right, total = int(confusion.counts.trace()), int(confusion.counts.sum())
    lines = [f"{right} of {total} right ({right / max(1, total):.2%})", "", "largest confusions:"]
    lines += [_literal(f"{n:5}  {true} → {guess}") for true, guess, n in largest_confusions(confusion)] or ["  none"]
    axes.text(0, 1, "\n".join(lines), va="top", fontsize=9, transform=axes.transAxes)


def _literal(text: str) -> str:
    """Return a text whose dollar signs are no formula."""
    return text.replace("$", r"\$")
