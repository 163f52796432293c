"""The measures of the proof: how far each framework is from what transformers wrote and computed.

The tests assert them, `report.py` prints them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from distilbert_cli.frameworks import FRAMEWORKS, zero_at_padding
from parity_tests.helpers import golden
from parity_tests.helpers.gradients import GRADIENTS, ZERO_BY_SYMMETRY

PATHS = ({"output_hidden_states": True, "output_attentions": True}, {"output_hidden_states": True})
"""The flags of the eager path, which gives attentions and computes padding, and of the default path, which need not."""


def cells() -> list[tuple[Path, str, str, str]]:
    """Return every (config, head, folder, framework)."""
    return [
        (config, head, folder, framework)
        for framework in FRAMEWORKS
        for config, head in golden.cases()
        for folder in golden.folders(config, head)
    ]


def load_cell(config: Path, head: str, folder: str, framework: str) -> Any:
    """Load the model of one cell, and require that every weight came from the file."""
    model = FRAMEWORKS[framework].load(golden.folders(config, head)[folder], head)
    assert model.load_report.ok, model.load_report.message()
    assert model.load_report.new_head == ()
    return model


def cell_difference(model: Any, config: Path, head: str, framework: str) -> float:
    """Run the model of a cell on both paths, and return the largest difference from the float64 reference."""
    family, expected = FRAMEWORKS[framework], golden.expected(config, head, "f64")
    inputs, differences = golden.inputs(config, head), []
    for flags in PATHS:
        arrays = family.run(model, inputs, "cpu", flags)
        assert arrays.keys() == {n for n in expected if "output_attentions" in flags or not n.startswith("attentions")}
        if "output_attentions" not in flags:  # padding need not be computed
            arrays, expected = (zero_at_padding(x, head, inputs["attention_mask"]) for x in (arrays, expected))
        differences += [float(np.abs(arrays[name] - expected[name]).max()) for name in arrays]
    return max(differences)


def gradient_difference(config: Path, head: str, framework: str) -> float:
    """Return the largest difference of any entry, relative to the largest entry of its tensor.

    A gradient that is zero by symmetry is measured against the largest entry of all tensors.
    """
    model = FRAMEWORKS[framework].load(config / head / "pt", head)
    arrays = GRADIENTS[framework](model, golden.inputs(config, head))
    expected = load_file(config / head / "grads.safetensors")
    assert arrays.keys() - expected.keys() == set() or framework == "flax"
    assert expected.keys() <= arrays.keys()
    zero = tuple(name.format(last=model.config.n_layers - 1) for name in ZERO_BY_SYMMETRY[head])
    overall = max(np.abs(gradient).max() for gradient in expected.values())
    scale = {name: overall if name.endswith(zero) else np.abs(gradient).max() for name, gradient in expected.items()}
    return max(float(np.abs(arrays[name] - expected[name]).max() / scale[name]) for name in expected)
