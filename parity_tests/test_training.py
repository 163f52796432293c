"""Loops written for transformers train every framework, and the loss curves agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parity_tests.helpers.tolerances import TRAINING
from parity_tests.helpers.training import LOOPS, STEPS, make_checkpoint, train_pt

pytestmark = pytest.mark.usefixtures("optimized_programs")  # which run 50 times


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def reference(checkpoint: Path) -> list[float]:
    return train_pt(checkpoint)


def test_training_learns(reference: list[float]) -> None:
    assert len(reference) == STEPS
    assert np.mean(reference[-10:]) < 0.85 * np.mean(reference[:10]), "50 steps for 77 classes: from 4.3 to 3.3"


@pytest.mark.parametrize("loop", [name for name in LOOPS if name != "pt"])
def test_loss_curves_agree(loop: str, checkpoint: Path, reference: list[float]) -> None:
    losses = LOOPS[loop](checkpoint)
    assert len(losses) == STEPS
    assert np.abs(np.array(losses) / reference - 1).max() <= TRAINING.value
