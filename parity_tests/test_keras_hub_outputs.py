"""KerasHub presets in this project's families against KerasHub's numbers, and KerasHub itself where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from distilbert_cli.frameworks import FRAMEWORKS, zero_at_padding
from distilbert_conversion import convert
from parity_tests.helpers.tolerances import KERAS_HUB_MLM, MATRIX

DATA = Path(__file__).resolve().parent / "data" / "keras_hub"
CASES = (
    # preset            model                        output               tolerance
    ("ForMaskedLM", "Model", "last_hidden_state", MATRIX),
    ("ForMaskedLM", "ForMaskedLM", "logits", KERAS_HUB_MLM),
    ("ForSequenceClassification", "ForSequenceClassification", "logits", MATRIX),
)


def golden() -> dict[str, np.ndarray]:
    with np.load(DATA / "expected.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("preset", "head", "output", "tolerance"), CASES, ids=["backbone", "masked_lm", "classifier"])
def test_outputs(framework: str, preset: str, head: str, output: str, tolerance: tuple[float, str]) -> None:
    arrays = golden()
    family = FRAMEWORKS[framework]
    model = family.load(DATA / preset, head)  # the preset itself: every family reads every dialect
    inputs = {name: arrays[name] for name in ("input_ids", "attention_mask")}
    expected = {output: arrays[head if head in arrays else output]}
    outputs = family.run(model, inputs, "cpu", {})
    outputs, expected = (zero_at_padding(x, head, inputs["attention_mask"]) for x in (outputs, expected))
    assert np.abs(outputs[output] - expected[output]).max() <= tolerance[0]


if find_spec("keras_hub"):  # an extra: the presets' golden files stand for it elsewhere

    @pytest.mark.parametrize("head", ["ForMaskedLM", "ForSequenceClassification"])
    def test_keras_hub_opens_what_is_written(head: str, tmp_path: Path) -> None:
        import keras
        import keras_hub

        convert(DATA / head, tmp_path / "pt", to="pt")
        convert(tmp_path / "pt", tmp_path / "preset", to="tf", format="keras-hub")
        name = {"ForMaskedLM": "DistilBertMaskedLM", "ForSequenceClassification": "DistilBertTextClassifier"}[head]
        model = getattr(keras_hub.models, name).from_preset(str(tmp_path / "preset"))
        arrays = golden()
        inputs = {"token_ids": arrays["input_ids"], "padding_mask": arrays["attention_mask"]}
        if head == "ForMaskedLM":
            inputs["mask_positions"] = np.tile(np.arange(16), (3, 1))
        outputs = keras.ops.convert_to_numpy(model(inputs, training=False))
        assert np.abs(outputs - arrays[head]).max() <= MATRIX.value
        assert list(model.preprocessor.tokenizer("a B")) == [5, 6]
