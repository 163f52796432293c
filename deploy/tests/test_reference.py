"""The forward pass in NumPy against transformers' numbers, and its activations against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distilbert_conversion import open_checkpoint
from distilbert_deploy.reference import ACTIVATIONS, forward
from distilbert_deploy.weights import read_weights
from distilbert_pt.activations import ACTIVATIONS as PT_ACTIVATIONS
from parity_tests.helpers import golden
from parity_tests.helpers.tolerances import MATRIX


@pytest.mark.parametrize("case", golden.cases(), ids=golden.case_id)
def test_numpy_gives_what_transformers_gives(case: tuple) -> None:
    with open_checkpoint(case[0] / case[1] / "pt") as checkpoint:
        weights = read_weights(checkpoint)
    inputs, expected = golden.inputs(*case), golden.expected(*case, "f64")
    outputs = forward(weights, inputs["input_ids"], inputs["attention_mask"])
    assert outputs
    for name, values in outputs.items():
        assert values.dtype == np.float32
        assert np.abs(values - expected[name]).max() <= MATRIX.value, name


def test_activations_are_pytorchs() -> None:
    x = np.concatenate([np.linspace(-20, 20, 801), [-300, 300]]).astype(np.float32)
    assert ACTIVATIONS.keys() == PT_ACTIVATIONS.keys()
    for name, activation in ACTIVATIONS.items():
        expected = PT_ACTIVATIONS[name](torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(activation(x), expected, rtol=2e-6, atol=2e-6, err_msg=name)  # float32 rounding
