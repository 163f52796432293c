"""Runs of fine-tuning that are killed go on to the last bit; `python -m parity_tests.resume` kills more of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity_tests.resume import Runs


@pytest.mark.parametrize("framework", ["pt", "tf", "flax"])
def test_a_killed_run_goes_on_to_the_last_bit(tmp_path: Path, framework: str) -> None:
    runs = Runs(tmp_path, framework)
    assert runs.kill(2 if framework == "pt" else 1, seed=1) >= 1


def test_a_killed_distillation_goes_on_to_the_last_bit(tmp_path: Path) -> None:
    assert Runs(tmp_path, "pt", "ask-ahead").kill(2, seed=2) >= 1
