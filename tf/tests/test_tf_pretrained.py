from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_models import CLASSES, MICRO, array, difference, load, same_weights, small

from distilbert_common.errors import InputError
from distilbert_conversion import DIALECTS, expected, open_checkpoint
from distilbert_tf import (
    TFDistilBertForMaskedLM,
    TFDistilBertForSequenceClassification,
    TFDistilBertForTokenClassification,
    TFDistilBertModel,
)
from parity_tests.helpers import golden


@pytest.mark.parametrize("head", golden.HEADS)
def test_every_weight_is_named(head: str) -> None:
    model, _ = load(head)
    names = [name for name, _ in model.named_variables()]
    assert names == list(expected(model.config, head))
    assert {id(v) for _, v in model.named_variables()} == {id(v) for v in model.weights}


@pytest.mark.parametrize(
    ("options", "file"),
    [
        ({}, "tf_model.h5"),
        ({"safe_serialization": True}, "model.safetensors"),
        ({"format": "safetensors", "max_shard_size": 4000}, "model.safetensors.index.json"),
        ({"format": "keras"}, "model.weights.h5"),
    ],
)
@pytest.mark.parametrize("tied", [True, False])
def test_what_is_saved_is_loaded(tmp_path: Path, options: dict, file: str, tied: bool) -> None:
    model = TFDistilBertForMaskedLM(small(tie_word_embeddings=tied, dropout=0.3))
    model.save_pretrained(tmp_path, **options)
    assert (tmp_path / file).is_file()
    again = TFDistilBertForMaskedLM.from_pretrained(tmp_path)
    assert again.load_report.ok
    assert same_weights(again, model)
    assert again.config.architectures == ["DistilBertForMaskedLM"]
    assert again.config.dropout == 0.3


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="format is 'zip'; expected one of h5, safetensors, keras"):
        load("Model")[0].save_pretrained(tmp_path, format="zip")


@pytest.mark.parametrize("head", golden.HEADS)
def test_keras_own_weights_files_have_the_names_of_the_weight_table(tmp_path: Path, head: str) -> None:
    model, _ = load(head)
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        actual: set[str] = set()
        file.visititems(lambda name, item: actual.add(name) if isinstance(item, h5py.Dataset) else None)
    assert actual == {DIALECTS["keras"].full_name(name, head) for name in expected(model.config, head)}
    model.config.save_pretrained(tmp_path)
    assert same_weights(CLASSES[head].from_pretrained(tmp_path), model)


@pytest.mark.parametrize("head", golden.HEADS)
def test_keras_loads_the_weights_files_that_are_written_here(tmp_path: Path, head: str) -> None:
    model, _ = load(head)
    model.save_pretrained(tmp_path, format="keras")
    fresh = CLASSES[head](model.config)
    fresh.load_weights(tmp_path / "model.weights.h5")
    assert same_weights(fresh, model)


def test_weights_of_a_trained_model_are_read_beside_its_optimizer(tmp_path: Path) -> None:
    model, inputs = load("ForTokenClassification")
    model.compile("adam", run_eagerly=True)
    model.train_on_batch(inputs)
    model.save_weights(tmp_path / "model.weights.h5")
    model.config.save_pretrained(tmp_path)
    again = TFDistilBertForTokenClassification.from_pretrained(tmp_path)
    assert again.load_report.ok
    assert same_weights(again, model)


def test_training_leaves_the_file_alone(tmp_path: Path) -> None:
    """A loaded weight is a copy: the file is mapped into memory read-only."""
    source = MICRO / "ForTokenClassification" / "pt" / "model.safetensors"
    before = source.read_bytes()
    model, inputs = load("ForTokenClassification")
    start = array(model.classifier.kernel)
    model.compile(keras.optimizers.SGD(0.1))
    model.train_on_batch(inputs)
    assert difference(model.classifier.kernel, start) > 0
    assert source.read_bytes() == before


def test_a_loaded_model_is_trainable() -> None:
    model, _ = load("ForMaskedLM")
    assert all(v.trainable for v in model.weights)


@pytest.mark.parametrize(
    ("dtype", "variables", "compute"),
    [
        ("float16", "float16", "float16"),
        (tf.bfloat16, "bfloat16", "bfloat16"),
        (np.float16, "float16", "float16"),
        ("mixed_bfloat16", "float32", "bfloat16"),
        (keras.DTypePolicy("mixed_float16"), "float32", "float16"),
    ],
    ids=str,
)
def test_dtype(tmp_path: Path, dtype: object, variables: str, compute: str) -> None:
    path = MICRO / "ForSequenceClassification" / "pt"
    model = TFDistilBertForSequenceClassification.from_pretrained(path, dtype=dtype)
    assert {v.dtype for v in model.weights} == {variables}
    assert (model.dtype, model.compute_dtype) == (variables, compute)
    model.save_pretrained(tmp_path, safe_serialization=True)
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.dtype == variables
    again = TFDistilBertForSequenceClassification.from_pretrained(tmp_path)
    assert again.dtype == variables, "the checkpoint's dtype unless told otherwise"
    assert same_weights(again, model)
    assert TFDistilBertForSequenceClassification.from_pretrained(tmp_path, torch_dtype="float32").dtype == "float32"


def test_dtypes_that_are_none() -> None:
    for dtype in ("int8", "float", "mixed", 7):
        with pytest.raises(InputError, match=f"dtype is {dtype!r}"):
            TFDistilBertModel.from_pretrained(MICRO / "Model" / "pt", dtype=dtype)


def test_kerass_global_policy_holds_where_it_fits_the_checkpoint() -> None:
    path = MICRO / "Model" / "pt"
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert TFDistilBertModel.from_pretrained(path).compute_dtype == "bfloat16"
        assert TFDistilBertModel(small()).compute_dtype == "bfloat16"
        assert TFDistilBertModel.from_pretrained(path, dtype="float16").compute_dtype == "float16"
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_new_head_stands_on_the_checkpoints_backbone() -> None:
    model = TFDistilBertForSequenceClassification.from_pretrained(MICRO / "Model" / "pt", num_labels=3)
    backbone = dict(load("Model")[0].named_variables())
    assert all(difference(v, backbone[name]) == 0 for name, v in model.named_variables() if name in backbone)


def test_a_backbone_from_a_task_model_and_a_task_model_from_another() -> None:
    path = MICRO / "ForMaskedLM" / "pt"
    backbone, report = TFDistilBertModel.from_pretrained(path, output_loading_info=True)
    assert report.ok
    assert "vocab_transform.weight" in report.ignored
    variables = dict(load("ForMaskedLM")[0].named_variables())
    assert all(difference(v, variables[name]) == 0 for name, v in backbone.named_variables())
    assert TFDistilBertForTokenClassification.from_pretrained(path).load_report.ok


def test_the_sinusoidal_table_stays_frozen_and_keeps_its_stored_values() -> None:
    model, _ = load("Model", sinusoidal_pos_embds=True)
    assert not model.distilbert.embeddings.position_embeddings.embeddings.trainable
    assert same_weights(model, load("Model")[0])


@pytest.mark.parametrize("keyword", ["from_pt", "from_flax", "from_tf"])
def test_the_names_of_transformers_keywords(keyword: str) -> None:
    assert TFDistilBertModel.from_pretrained(MICRO / "Model" / "flax_msgpack", **{keyword: True}).load_report.ok
