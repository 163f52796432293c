"""The picture of confusions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distilbert_tasks.metrics import ClassScore, Confusion, class_table, draw_confusion, largest_confusions


def test_the_largest_confusions_come_first() -> None:
    counts = np.array([[9, 2, 0], [5, 9, 2], [0, 0, 9]])
    assert largest_confusions(Confusion(counts, ("a", "b", "c"))) == [("b", "a", 5), ("a", "b", 2), ("b", "c", 2)]
    assert largest_confusions(Confusion(np.eye(2, dtype=np.int64), ("a", "b"))) == []


@pytest.mark.parametrize("classes", [2, 25])
def test_the_same_figures_give_the_same_picture(classes: int, tmp_path: Path) -> None:
    counts = np.random.default_rng(0).integers(0, 30, (classes, classes))
    counts[0] = 0  # a class that is not in the data
    confusion = Confusion(counts, tuple(f"class ${n}$ of a long name_{n}" for n in range(classes)))
    for name in ("first.png", "second.png"):
        draw_confusion(confusion, tmp_path / name)
    picture = (tmp_path / "first.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert picture == (tmp_path / "second.png").read_bytes()


def test_the_table_has_a_line_for_each_class() -> None:
    table = class_table([ClassScore("yes", 0.5, 1.0, 2 / 3, 7)])
    assert table.splitlines()[2:] == ["| yes | 0.5000 | 1.0000 | 0.6667 | 7 |"]
