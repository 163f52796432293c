"""Models that are made, used and deleted leave no memory behind, as `benchmarks/model_memory.py` measures it."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path

import pytest

from distilbert_common import DistilBertConfig

MAX_GROWTH = 5.0
"""Megabytes by which a process may grow at each turn."""

TALL = DistilBertConfig(n_layers=1, dim=448, n_heads=4, hidden_dim=448, num_labels=2)
"""58 MB in one layer, which compiles fast."""


@pytest.mark.usefixtures("optimized_programs")  # drawing so many random numbers takes longer than to compile
@pytest.mark.parametrize(
    ("family", "use"),
    [
        ("pt", "call"),
        ("pt", "training step"),
        ("pt", "saved and loaded"),
        ("tf", "call"),
        ("tf", "saved and loaded"),
        ("flax", "call"),
        ("flax", "loss and gradient"),
        ("flax", "saved and loaded"),
    ],
)
def test_memory_does_not_grow(
    family: str, use: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(repository / "benchmarks")
    model_memory = importlib.import_module("model_memory")
    turn = partial(importlib.import_module(f"memory_{family}").USES[use], TALL, tmp_path, model_memory.padded_batch())
    assert model_memory.growth(turn, turns=3, warm=3) < MAX_GROWTH
