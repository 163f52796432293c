"""How far the loss curves of the three frameworks lie apart, for each head, or for each term of a student's loss.

Usage: python -m parity_tests.training_curves [--distil]   (some minutes; the suite has one head)

The same weights, batches in turn padded and packed, no dropout; AdamW with weight decay, clipping and a rate that
differs from layer to layer. With --distil a student learns masked LM from a teacher of two layers, with the options of
`distilbert distil`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from distilbert_common.training import EngineOptions
from distilbert_tasks.distillation import default_options
from parity_tests.helpers import distillation_cases as students
from parity_tests.helpers.engine_cases import FRAMEWORKS, HEADS, NO_DROPOUT, batch_of, engine_of, save_backbone

STEPS, LEARNING_RATE = 200, 2e-3
STUDENT_STEPS = 100
OPTIONS = EngineOptions(weight_decay=0.01, layer_decay=0.9)


def curve(framework: str, head: str, source: Path, steps: int = STEPS) -> np.ndarray:
    """Return the loss of every step."""
    engine = engine_of(framework, head, source, OPTIONS, **NO_DROPOUT)
    batches = (batch_of(head, step, packed=step % 2 == 1 and head != "ForMultipleChoice") for step in range(steps))
    results = [engine.train_step([batch], step, LEARNING_RATE) for step, batch in enumerate(batches)]
    return np.array([float(result.loss) for result in results])


def student_curves(framework: str, folder: Path, steps: int = STUDENT_STEPS) -> dict[str, np.ndarray]:
    """Return each term of a student's loss, at every step.

    Args:
        framework: "pt", "tf" or "flax".
        folder: Holds `student` and `teacher`.
        steps: How many.
    """
    paths = folder / "student", folder / "teacher"
    engine = students.engine_of(framework, students.MASKED_LM, *paths, default_options())
    batches = (students.masked_batch(step, packed=step % 2 == 1) for step in range(steps))
    terms = [
        engine.train_step(students.parts_of(batch), step, LEARNING_RATE).terms for step, batch in enumerate(batches)
    ]
    return {name: np.array([float(one[name]) for one in terms]) for name in terms[0]}


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Return how far two curves lie apart at most, relative to the one."""
    return float(np.abs(other / one - 1).max())


def main(arguments: Sequence[str] = ()) -> None:
    """Show a row for each head, or for each term of a student's loss.

    It has the mean of the first and of the last losses, and how far Keras and Flax lie from PyTorch at most.
    """
    distils = "--distil" in arguments
    steps = STUDENT_STEPS if distils else STEPS
    kind = "term" if distils else "head"
    table = Table(kind, "first 10", "last 10", "Keras", "Flax", title=f"loss curves of {steps} steps, to PyTorch's")
    with TemporaryDirectory() as folder:
        for name, (pt, tf, flax) in (terms_of_students if distils else heads)(Path(folder)):
            ends = f"{pt[:10].mean():.3f}", f"{pt[-10:].mean():.3f}"
            table.add_row(name, *ends, f"{apart(pt, tf):.1e}", f"{apart(pt, flax):.1e}")
    Console().print(table)


def heads(folder: Path) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield each head, and its curves in the three frameworks."""
    source = save_backbone(folder)
    for head in HEADS:
        yield head, [curve(framework, head, source) for framework in FRAMEWORKS]


def terms_of_students(folder: Path) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Yield each term of a student's loss, and its curves in the three frameworks."""
    students.save_model(folder / "student", students.MASKED_LM, 0)
    students.save_model(folder / "teacher", students.MASKED_LM, 1, n_layers=students.LAYERS)
    curves = [student_curves(framework, folder) for framework in FRAMEWORKS]
    for name in curves[0]:
        yield name, [one[name] for one in curves]


if __name__ == "__main__":
    main(sys.argv[1:])
