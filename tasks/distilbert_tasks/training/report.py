"""What a reader of a finished run looks at: curves, confusions, and the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distilbert_common.files import write_text
from distilbert_tasks.metrics import Scores, class_table, draw_confusion
from distilbert_tasks.training.curves import draw_curves
from distilbert_tasks.training.model_card import model_card
from distilbert_tasks.training.record import RunRecord

__all__ = ["write_confusion", "write_report"]

_CURVES, _CONFUSION = "curves.png", "confusion_matrix.png"


def write_report(
    folder: Path,
    record: RunRecord,
    scores: Mapping[str, Scores],
    lines: Sequence[Mapping[str, Any]],
    metric: str | None,
    command: str | None,
) -> None:
    """Write `curves.png`, `confusion_matrix.png` where there are classes, and `README.md`.

    Args:
        folder: The folder of the run.
        record: What the run was, and measured.
        scores: The scores of the finished model, by split; the last one is drawn.
        lines: Those of `metrics.jsonl`.
        metric: The one by which the best weights were chosen; None without validation data.
        command: What repeats the run; None where that is not known.
    """
    draw_curves(lines, metric, folder / _CURVES)
    pictures, classes = [_CURVES], ""
    if scores:
        last = list(scores.values())[-1]
        present = [one for one in last.classes if one.support]
        classes = class_table(present) if present else ""
        pictures += [_CONFUSION] if write_confusion(last, folder / _CONFUSION) else []
    write_text(folder / "README.md", model_card(folder.resolve().name, record, classes, pictures, command))


def write_confusion(scores: Scores, path: Path) -> bool:
    """Draw which class was taken for which, and return whether there was anything to draw."""
    if scores.confusion is None:
        return False
    draw_confusion(scores.confusion, path)
    return True
