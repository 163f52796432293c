"""Keywords, positional arguments and methods that programs written for transformers 4.57's TF classes use."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from tf_models import MICRO, array, difference, load

from distilbert_common.errors import InputError
from distilbert_tf import DistilBertConfig, TFDistilBertForSequenceClassification, TFDistilBertModel
from parity_tests.helpers import golden

SOURCE = MICRO / "ForSequenceClassification" / "pt"
IDS = np.arange(1, 8)[None]


@pytest.mark.parametrize(
    "options",
    [
        {"from_pt": True},
        {"use_safetensors": True},
        {"config": str(SOURCE)},
        {"name": "mine"},
        {"force_download": False, "proxies": None, "use_auth_token": None, "trust_remote_code": False},
        {"load_weight_prefix": None, "quantization_config": None, "low_cpu_mem_usage": True},
    ],
    ids=str,
)
def test_keywords_of_loading(options: dict) -> None:
    model = TFDistilBertForSequenceClassification.from_pretrained(pretrained_model_name_or_path=SOURCE, **options)
    assert model.load_report.ok
    assert model.name == options.get("name", model.name)
    assert model.name_or_path == str(SOURCE)
    assert not {"name", "use_auth_token", "trust_remote_code"} & model.config.to_dict().keys()


def test_errors_are_caught_as_those_of_transformers(tmp_path: Path) -> None:
    for missing in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(OSError, match=r"has no weights|neither a directory"):
            TFDistilBertModel.from_pretrained(missing)
    with pytest.raises(RuntimeError, match=r"of the wrong shape: classifier\.bias"):
        TFDistilBertForSequenceClassification.from_pretrained(SOURCE, num_labels=3)


def test_keywords_of_saving(tmp_path: Path) -> None:
    model, _ = load("ForSequenceClassification")
    model.save_pretrained(tmp_path / "none", is_main_process=False)
    for wrong in ({"signatures": {}}, {"create_pr": True}):
        with pytest.raises(InputError, match="is not taken"):
            model.save_pretrained(tmp_path / "none", **wrong)
    assert not (tmp_path / "none").exists()
    for name in ("save_function", "state_dict"):
        with pytest.warns(UserWarning, match=f"{name} has no effect"):
            model.save_pretrained(tmp_path / "whole", **{name: dict})
    model.save_pretrained(tmp_path / "half", safe_serialization=True, variant="fp16")
    assert (tmp_path / "half" / "model.fp16.safetensors").is_file()
    again = type(model).from_pretrained(tmp_path / "half", variant="fp16")
    assert difference(again(IDS).logits, model(IDS).logits) == 0
    model.save_pretrained(tmp_path / "served", True, 3)
    assert (tmp_path / "served" / "saved_model" / "3" / "saved_model.pb").is_file()
    assert (tmp_path / "served" / "tf_model.h5").is_file()


def test_arguments_in_the_order_of_the_tf_classes() -> None:
    model, _ = load("ForSequenceClassification")
    labels = np.array([1])
    output = model(IDS, np.ones_like(IDS), None, None, True, True, True, labels, False)
    assert len(output.attentions) == model.config.n_layers
    assert len(output.hidden_states) == model.config.n_layers + 1
    assert float(output.loss) == pytest.approx(float(model(IDS, labels=labels).loss), abs=1e-6)
    qa, _ = load("ForQuestionAnswering")
    assert qa([IDS, np.ones_like(IDS), None, None, None, None, None, labels, labels]).loss is not None
    bare, _ = load("Model")
    assert isinstance(bare.distilbert(IDS, return_dict=False), tuple)


def test_models_from_a_config() -> None:
    config = DistilBertConfig.from_pretrained(SOURCE)
    for model in (
        TFDistilBertForSequenceClassification(config, name="mine"),
        TFDistilBertForSequenceClassification.from_config(config, name="mine"),
        TFDistilBertForSequenceClassification._from_config(config, name="mine"),
        TFDistilBertForSequenceClassification.from_config(config.to_dict(), name="mine"),
    ):
        assert (model.name, model.config.num_labels, model.num_labels) == ("mine", 5, 5)


@pytest.mark.parametrize("head", golden.HEADS)
def test_small_facts(head: str) -> None:
    model, _ = load(head)
    assert (model.framework, model.main_input_name, model.can_generate()) == ("tf", "input_ids", False)
    model.build_in_name_scope()
    output = model(model.dummy_inputs)
    assert len(output[0]) == 3
    served = model.serving(
        {**model.dummy_inputs, "attention_mask": np.ones_like(array(model.dummy_inputs["input_ids"]))}
    )
    assert difference(served[0], output[0]) < 1e-5
    assert set(model.input_signature) == {"input_ids", "attention_mask"}
    projector = model.get_output_embeddings()
    assert (projector is not None) == (head == "ForMaskedLM")
    assert model.get_lm_head() is projector
    if projector is None:
        assert model.get_bias() is None
        with pytest.raises(InputError, match="cannot take a Dense"):
            model.set_output_embeddings(keras.layers.Dense(3))
    else:
        assert model.get_bias()["bias"].shape == (40,)
        model.set_bias({"bias": np.full(40, 2.0)})
        assert (array(projector.bias) == 2).all()
        assert model.get_prefix_bias_name().endswith("/vocab_projector")
        other, _ = load(head)
        other.set_output_embeddings(projector)
        assert difference(other(IDS).logits, model(IDS).logits) < 1e-6
