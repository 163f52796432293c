"""Tools of Keras that look for Keras' own layers: quantizing and LoRA; and which of `export`'s formats are refused."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from tf_models import array, difference, load

from distilbert_common.errors import InputError
from distilbert_pt import DistilBertForSequenceClassification
from parity_tests.helpers import golden

IDS = np.arange(1, 8)[None]
LAYERS = (keras.layers.Dense, keras.layers.Embedding, keras.layers.LayerNormalization)


@pytest.mark.parametrize("head", golden.HEADS)
def test_layers_are_keras_own(head: str) -> None:
    model, _ = load(head)
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, LAYERS)]
    assert {type(layer) for layer in layers} == set(LAYERS)
    assert len(layers) >= 2 * (6 + 2) + 3


@pytest.mark.parametrize(
    ("head", "mode", "tolerance"),
    [("ForMaskedLM", "int8", 0.02), ("ForSequenceClassification", "int8", 0.02), ("ForMaskedLM", "int4", 0.3)],
)
def test_quantize(head: str, mode: str, tolerance: float, tmp_path: Path) -> None:
    model, _ = load(head)
    before = model(IDS).logits
    model.quantize(mode)
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, LAYERS[:2])]
    assert {layer.dtype_policy.quantization_mode for layer in layers} == {mode}
    logits = model(IDS).logits
    assert 0 < difference(logits, before) < tolerance * np.abs(array(before)).max()
    assert difference(logits, model(IDS, jit=False).logits) < 2e-6
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert difference(again(IDS).logits, logits) == 0
    if mode == "int4":
        with pytest.raises(InputError, match=r"is quantized in a way.*model.save"):
            model.save_pretrained(tmp_path / "refused")
        assert not (tmp_path / "refused").exists()
        return
    model.save_pretrained(tmp_path / "saved")
    loaded, report = type(model).from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert report.message() == ""
    assert difference(loaded(IDS).logits, logits) == 0
    for one, other in zip(model.weights, loaded.weights, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(array(one), array(other)), one.path


def test_8_bits_go_between_keras_and_pytorch(tmp_path: Path) -> None:
    model, _ = load("ForSequenceClassification")
    plain = array(model(IDS).logits)
    model.quantize("int8", skip=["classifier", "lin2"])
    model.save_pretrained(tmp_path / "keras")
    with pytest.raises(InputError, match="safetensors alone"):
        model.save_pretrained(tmp_path / "h5", format="h5")
    other = DistilBertForSequenceClassification.from_pretrained(tmp_path / "keras")
    assert other.config.quantization_config["skip"] == ["classifier", "lin2"]
    with torch.no_grad():
        logits = other(torch.tensor(IDS)).logits.numpy()
    assert 0 < np.abs(logits - array(model(IDS).logits)).max() < 0.02 * np.abs(plain).max()
    other.save_pretrained(tmp_path / "pytorch")
    back = type(model).from_pretrained(tmp_path / "pytorch")
    integers = array(model.distilbert.transformer.layer[0].attention.q_lin._kernel)
    assert np.array_equal(array(back.distilbert.transformer.layer[0].attention.q_lin._kernel), integers)
    assert back.distilbert.embeddings.word_embeddings.dtype_policy.quantization_mode is None
    with pytest.raises(InputError, match="needs variables of float32"):
        type(model).from_pretrained(tmp_path / "keras", dtype="bfloat16")
    with pytest.raises(InputError, match="no dense layer's or table's name ends"):
        back.quantize("int8", skip=["lin3"])
    with pytest.raises(InputError, match="by filters"):
        back.quantize("int4", skip=["lin2"])


def test_lora_trains_its_own_weights_and_is_merged_on_saving(tmp_path: Path) -> None:
    model, _ = load("ForSequenceClassification", dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0)
    before, frozen = model(IDS).logits, array(model.classifier.kernel)
    model.enable_lora(2, ("q_lin", "v_lin"))
    assert {v.name for v in model.trainable_variables} == {"lora_kernel_a", "lora_kernel_b"}
    assert len(model.trainable_variables) == 8
    assert difference(model(IDS).logits, before) < 1e-6
    model.compile(keras.optimizers.Adam(0.05))
    model.fit({"input_ids": IDS, "labels": np.array([1])}, epochs=3, verbose=0)
    logits = model(IDS).logits
    assert difference(logits, before) > 1e-3
    assert difference(model.classifier.kernel, frozen) == 0
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.distilbert.transformer.layer[0].attention.q_lin.lora_rank == 2
    assert difference(again(IDS).logits, logits) < 1e-6
    model.save_pretrained(tmp_path / "merged")
    merged = type(model).from_pretrained(tmp_path / "merged")
    assert merged.load_report.ok
    assert difference(merged(IDS).logits, logits) < 1e-6
    with pytest.raises(InputError, match="no layer is called query"):
        model.enable_lora(2, ["query"])


@pytest.mark.parametrize("format", ["onnx", "openvino", "torch", "zip"])
def test_formats_that_would_give_no_usable_file_are_refused(format: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"format is '{format}'.*expected one of tf_saved_model, litert"):
        load("Model")[0].export(tmp_path / "model", format=format)
    assert not (tmp_path / "model").exists()
