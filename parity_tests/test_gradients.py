"""The gradient of every parameter, for every head with a loss, in every framework, against transformers'."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import golden
from distilbert_cli.frameworks import FRAMEWORKS
from distilbert_cli.tolerances import GRADIENT
from gradients import GRADIENTS, ZERO_BY_SYMMETRY

CASES = [(config, head) for config, head in golden.cases() if head != "Model"]


def largest_relative_difference(config: Path, head: str, framework: str) -> float:
    """Return the largest difference of any entry, relative to the largest entry of its tensor.

    A gradient that is zero by symmetry is measured against the largest entry of all tensors.
    """
    model = FRAMEWORKS[framework].load(config / head / "pt", head)
    found = GRADIENTS[framework](model, golden.inputs(config, head))
    expected = load_file(config / head / "grads.safetensors")
    assert found.keys() - expected.keys() == set() or framework == "flax"
    assert expected.keys() <= found.keys()
    overall = max(np.abs(gradient).max() for gradient in expected.values())
    scale = {
        name: overall if name.endswith(ZERO_BY_SYMMETRY[head]) else np.abs(gradient).max()
        for name, gradient in expected.items()
    }
    return max(float(np.abs(found[name] - expected[name]).max() / scale[name]) for name in expected)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("config", "head"), CASES, ids=golden.case_id)
def test_gradients(config: Path, head: str, framework: str) -> None:
    assert largest_relative_difference(config, head, framework) <= GRADIENT.value
