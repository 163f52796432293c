"""The masked-LM loss without logits against the loss with them, in each framework."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_cli.frameworks import FRAMEWORKS
from distilbert_common.errors import InputError
from parity_tests.helpers.gradients import GRADIENTS
from parity_tests.helpers.packing_cases import assert_same_gradients, padded, save_model, token_lists
from parity_tests.helpers.tolerances import TRIPLE_LOSS

LISTS = token_lists(60)


def inputs_of(share: float) -> dict[str, np.ndarray]:
    """Return real sentences of which a share of the tokens is labeled with itself."""
    inputs, rng = padded(LISTS), np.random.default_rng(0)
    chosen = (rng.random(inputs["input_ids"].shape) < share) & (inputs["attention_mask"] == 1)
    return {**inputs, "labels": np.where(chosen, inputs["input_ids"], -100)}


@pytest.mark.parametrize("share", [0.15, 0.95], ids=["one chunk", "several chunks"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_loss_and_gradients(framework: str, tied: bool, share: float, tmp_path: Path) -> None:
    model = FRAMEWORKS[framework].load(save_model(tmp_path, "ForMaskedLM", tie_word_embeddings=tied), "ForMaskedLM")
    run, inputs = FRAMEWORKS[framework].run, inputs_of(share)
    outputs, expected = run(model, inputs, "cpu", {"loss_only": True}), run(model, inputs, "cpu", {})
    assert outputs.keys() == {"loss"}
    assert abs(outputs["loss"] / expected["loss"] - 1) <= TRIPLE_LOSS.value
    gradients: Any = GRADIENTS[framework]
    assert_same_gradients(gradients(model, inputs, loss_only=True), gradients(model, inputs), "ForMaskedLM")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_nothing_labeled_gives_zero(framework: str, tmp_path: Path) -> None:
    model = FRAMEWORKS[framework].load(save_model(tmp_path, "ForMaskedLM"), "ForMaskedLM")
    inputs = inputs_of(0.0)
    assert FRAMEWORKS[framework].run(model, inputs, "cpu", {"loss_only": True})["loss"] == 0
    gradients: Any = GRADIENTS[framework]
    assert all((gradient == 0).all() for gradient in gradients(model, inputs, loss_only=True).values())


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_labels_are_needed(framework: str, tmp_path: Path) -> None:
    model = FRAMEWORKS[framework].load(save_model(tmp_path, "ForMaskedLM"), "ForMaskedLM")
    with pytest.raises(InputError, match="loss_only is True and labels are not given"):
        FRAMEWORKS[framework].run(model, padded(LISTS), "cpu", {"loss_only": True})
