from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, serialization
from flax.traverse_util import flatten_dict
from safetensors import safe_open

import distilbert_common
import distilbert_flax
from distilbert_common.errors import CheckpointError, InputError
from distilbert_flax import (
    DistilBertConfig,
    FlaxDistilBertForMaskedLM,
    FlaxDistilBertForSequenceClassification,
    FlaxDistilBertForTokenClassification,
    FlaxDistilBertModel,
    Frozen,
)
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"


def same(one: object, other: object) -> bool:
    """Whether two trees hold the same names, values and dtypes."""
    mine, others = flatten_dict(one), flatten_dict(other)
    equal = {
        name: value.dtype == others[name].dtype and np.array_equal(value, others[name]) for name, value in mine.items()
    }
    return mine.keys() == others.keys() and all(equal.values())


@pytest.mark.parametrize("folder", golden.FOLDERS)
def test_every_dialect_gives_the_same_parameters(folder: str) -> None:
    expected = serialization.msgpack_restore((MICRO / "ForMaskedLM/flax_msgpack/flax_model.msgpack").read_bytes())
    model = FlaxDistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / folder)
    assert same(model.params, expected)
    assert model.load_report.ok


def test_files_are_those_of_transformers(tmp_path: Path) -> None:
    model = FlaxDistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "flax_msgpack")
    model.save_pretrained(tmp_path)
    written = serialization.msgpack_restore((tmp_path / "flax_model.msgpack").read_bytes())
    assert same(written, model.params)
    model.save_pretrained(tmp_path, safe_serialization=True)
    with safe_open(tmp_path / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "flax"}
        assert set(file.keys()) == set(flatten_dict(model.params, sep="."))


def test_given_params_are_saved(tmp_path: Path) -> None:
    model, params = FlaxDistilBertModel.from_pretrained(MICRO / "Model" / "pt", _do_init=False)
    doubled = jax.tree.map(lambda x: 2 * x, params)
    model.save_pretrained(tmp_path, params=doubled)
    assert same(FlaxDistilBertModel.from_pretrained(tmp_path).params, doubled)
    with pytest.raises(InputError, match="holds no parameters"):
        model.save_pretrained(tmp_path)


def test_a_loaded_model_is_in_eval_mode_and_trainable() -> None:
    model = FlaxDistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt")
    dropouts = [module for _, module in nnx.iter_modules(model) if isinstance(module, nnx.Dropout)]
    assert dropouts
    assert all(dropout.deterministic for dropout in dropouts)
    assert model.num_parameters() == model.num_parameters(only_trainable=True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dtypes(tmp_path: Path, dtype: str) -> None:
    path = MICRO / "ForSequenceClassification" / "pt"
    load = FlaxDistilBertForSequenceClassification.from_pretrained
    model = load(path, dtype=dtype)
    assert model.dtype == dtype
    assert {x.dtype for x in jax.tree.leaves(model.params)} == {jnp.dtype("float32")}, "dtype is that of the compute"
    model = load(path, param_dtype=getattr(jnp, dtype))
    assert {x.dtype for x in jax.tree.leaves(model.params)} == {jnp.dtype(dtype)}
    assert model.config.dtype == dtype
    assert same(load(path, torch_dtype=dtype).params, model.params)
    assert model(np.array([[1, 2]])).logits.dtype == jnp.float32
    model.save_pretrained(tmp_path)
    half = load(tmp_path)
    assert same(half.params, model.params), "the checkpoint's dtype unless told otherwise"
    assert {x.dtype for x in jax.tree.leaves(load(tmp_path, param_dtype="float32").params)} == {jnp.dtype("float32")}
    for option in ("dtype", "param_dtype", "torch_dtype"):
        with pytest.raises(InputError, match="dtype is 'int8'"):
            load(path, **{option: "int8"})


def test_a_new_head_stands_on_the_checkpoints_backbone_and_is_drawn_from_a_seed() -> None:
    def params(**options) -> dict[str, dict]:
        path = MICRO / "Model" / "pt"
        return FlaxDistilBertForSequenceClassification.from_pretrained(path, num_labels=3, **options).params

    first = params()
    assert same(first["distilbert"], FlaxDistilBertModel.from_pretrained(MICRO / "Model" / "pt").params)
    assert np.array_equal(params()["classifier"]["kernel"], first["classifier"]["kernel"])
    assert not np.array_equal(params(seed=1)["classifier"]["kernel"], first["classifier"]["kernel"])


def test_a_backbone_from_a_task_model_and_a_task_model_from_another() -> None:
    path = MICRO / "ForMaskedLM" / "pt"
    backbone, report = FlaxDistilBertModel.from_pretrained(path, output_loading_info=True)
    assert report.ok
    assert "vocab_transform.weight" in report.ignored
    assert same(backbone.params, FlaxDistilBertForMaskedLM.from_pretrained(path).params["distilbert"])
    assert FlaxDistilBertForTokenClassification.from_pretrained(path).load_report.ok


def test_unknown_keywords_and_missing_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'num_label'"):
        FlaxDistilBertModel.from_pretrained(MICRO / "Model" / "pt", num_label=3)
    with pytest.raises(TypeError, match="shape_of_input"):
        FlaxDistilBertModel(DistilBertConfig(), shape_of_input=(1, 1))
    with pytest.raises(CheckpointError, match="has no weights; expected"):
        FlaxDistilBertModel.from_pretrained(tmp_path)


def test_the_sinusoidal_table_stays_frozen_and_keeps_its_stored_values(tmp_path: Path) -> None:
    model = FlaxDistilBertModel.from_pretrained(MICRO / "Model" / "pt", sinusoidal_pos_embds=True)
    plain = FlaxDistilBertModel.from_pretrained(MICRO / "Model" / "pt")
    assert isinstance(model.embeddings.position_embeddings.embedding, Frozen)
    assert same(model.params, plain.params)
    model.save_pretrained(tmp_path)
    assert same(FlaxDistilBertModel.from_pretrained(tmp_path).params, plain.params)


def test_a_loaded_model_does_not_depend_on_its_file(tmp_path: Path) -> None:
    FlaxDistilBertModel.from_pretrained(MICRO / "Model" / "pt").save_pretrained(tmp_path, safe_serialization=True)
    file = tmp_path / "model.safetensors"
    model = FlaxDistilBertModel.from_pretrained(tmp_path)
    before = jax.tree.map(np.array, model.params)
    with file.open("r+b") as opened:  # overwrites the file in place
        opened.write(b"\0" * file.stat().st_size)
    assert same(model.params, before)


def test_the_names_of_transformers_keywords() -> None:
    for folder, kwargs in (("pt", {"from_pt": True}), ("tf_h5", {"from_tf": True}), ("pt", {"from_flax": True})):
        assert FlaxDistilBertModel.from_pretrained(MICRO / "Model" / folder, **kwargs).load_report.ok


def test_the_tokenizers_come_with_the_models() -> None:
    for name in ("DistilBertConfig", "DistilBertTokenizer", "DistilBertTokenizerFast"):
        assert getattr(distilbert_flax, name) is getattr(distilbert_common, name)
