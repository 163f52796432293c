"""Padding left out against padding computed, in each framework: values, losses, gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_cli.frameworks import FRAMEWORKS
from distilbert_common.constants import is_fast
from parity_tests.helpers.combinations import combinations
from parity_tests.helpers.gradients import GRADIENTS
from parity_tests.helpers.packing_cases import HEADS, assert_same_gradients, labels_of, padded, save_model, token_lists
from parity_tests.helpers.tolerances import MATRIX

LISTS = token_lists(12)
KINDS = ("padding", "a row of nothing but padding", "holes", "padding at the left")


def inputs_of(kind: str) -> dict[str, np.ndarray]:
    inputs = padded(LISTS)
    if kind == "a row of nothing but padding":
        inputs["attention_mask"][3] = 0
    if kind == "holes":
        inputs["attention_mask"][:, 2:5] = 0
    if kind == "padding at the left":
        inputs = {name: array[:, ::-1].copy() for name, array in inputs.items()}
    return inputs


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_values_and_zeros_at_padding(framework: str, kind: str, tmp_path: Path) -> None:
    model, run = FRAMEWORKS[framework].load(save_model(tmp_path, "Model"), "Model"), FRAMEWORKS[framework].run
    inputs = inputs_of(kind)
    real, flags = inputs["attention_mask"] == 1, {"output_hidden_states": True}
    arrays = run(model, inputs, "cpu", {**flags, "unpad": "auto" if is_fast() else True})
    expected = run(model, inputs, "cpu", {**flags, "output_attentions": True})  # the eager path computes padding
    for name, array in arrays.items():
        assert float(np.abs(array - expected[name])[real].max()) <= MATRIX.value, name
        assert (array[~real] == 0).all(), name
        assert (expected[name][~real] != 0).any(), name


def labeled(head: str) -> dict[str, np.ndarray]:
    inputs, labels = padded(LISTS), labels_of(head, LISTS)
    if head in ("ForMaskedLM", "ForTokenClassification"):
        every = np.full_like(inputs["input_ids"], -100)
        for row, one in zip(every, labels, strict=True):
            row[: len(one["labels"])] = one["labels"]
        return {**inputs, "labels": every}
    return {**inputs, **{name: np.stack([one[name] for one in labels]) for name in labels[0]}}


@pytest.mark.parametrize(
    ("framework", "head", "fast_and_plain"), combinations([*FRAMEWORKS], HEADS, "10"), indirect=["fast_and_plain"]
)
def test_loss_and_gradients(framework: str, head: str, fast_and_plain: None, tmp_path: Path) -> None:
    family = FRAMEWORKS[framework]
    model, inputs = family.load(save_model(tmp_path, head), head), labeled(head)
    eager: dict[str, Any] = {"output_attentions": True}
    assert (
        abs(
            float(family.run(model, inputs, "cpu", {})["loss"]) - float(family.run(model, inputs, "cpu", eager)["loss"])
        )
        <= MATRIX.value
    )
    gradients: Any = GRADIENTS[framework]
    assert_same_gradients(gradients(model, inputs), gradients(model, inputs, **eager), head)
