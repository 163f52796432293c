"""Every golden checkpoint, in every dialect, in every framework, against transformers' numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import golden
from distilbert_cli.frameworks import FRAMEWORKS
from distilbert_cli.tolerances import MATRIX

FLAGS = {"output_hidden_states": True, "output_attentions": True}


def cells() -> list[tuple[Path, str, str, str]]:
    """Return every (config, head, folder, framework)."""
    return [
        (config, head, folder, framework)
        for framework in FRAMEWORKS
        for config, head in golden.cases()
        for folder in golden.folders(config, head)
    ]


def largest_difference(config: Path, head: str, folder: str, framework: str) -> float:
    """Load one cell, run it, and return the largest difference from the float64 reference over all outputs."""
    family = FRAMEWORKS[framework]
    model = family.load(golden.folders(config, head)[folder], head)
    assert model.load_report.ok, model.load_report.message()
    assert model.load_report.new_head == ()
    found = family.run(model, golden.inputs(config, head), "cpu", FLAGS)
    expected = golden.expected(config, head, "f64")
    assert found.keys() == expected.keys()
    return max(float(np.abs(found[name] - expected[name]).max()) for name in expected)


@pytest.mark.parametrize(("config", "head", "folder", "framework"), cells(), ids=golden.case_id)
def test_cell(config: Path, head: str, folder: str, framework: str) -> None:
    assert largest_difference(config, head, folder, framework) <= MATRIX.value
