"""How far the loss curves of the three frameworks lie apart, for each head.

Usage: python -m parity_tests.training_curves   (some minutes; the suite has one head)

The same weights, batches in turn padded and packed, no dropout; AdamW with weight decay, clipping and a rate that
differs from layer to layer.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from distilbert_common.training import EngineOptions
from parity_tests.helpers.engine_cases import FRAMEWORKS, HEADS, NO_DROPOUT, batch_of, engine_of, save_backbone

STEPS, LEARNING_RATE = 200, 2e-3
OPTIONS = EngineOptions(weight_decay=0.01, layer_decay=0.9)


def curve(framework: str, head: str, source: Path, steps: int = STEPS) -> np.ndarray:
    """Return the loss of every step."""
    engine = engine_of(framework, head, source, OPTIONS, **NO_DROPOUT)
    batches = (batch_of(head, step, packed=step % 2 == 1 and head != "ForMultipleChoice") for step in range(steps))
    results = [engine.train_step([batch], step, LEARNING_RATE) for step, batch in enumerate(batches)]
    return np.array([float(result.loss) for result in results])


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Return how far two curves lie apart at most, relative to the one."""
    return float(np.abs(other / one - 1).max())


def main() -> None:
    """Show a row for each head: the mean of its first and of its last losses, and how far others are from PyTorch's."""
    table = Table("head", "first 10", "last 10", "Keras", "Flax", title=f"loss curves of {STEPS} steps, to PyTorch's")
    with TemporaryDirectory() as folder:
        source = save_backbone(Path(folder))
        for head in HEADS:
            pt, tf, flax = (curve(framework, head, source) for framework in FRAMEWORKS)
            ends = f"{pt[:10].mean():.3f}", f"{pt[-10:].mean():.3f}"
            table.add_row(head, *ends, f"{apart(pt, tf):.1e}", f"{apart(pt, flax):.1e}")
    Console().print(table)


if __name__ == "__main__":
    main()
