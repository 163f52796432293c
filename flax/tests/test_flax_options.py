"""The keywords and methods that programs written for transformers 4.57's Flax classes use."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from distilbert_common.errors import InputError
from distilbert_flax import DistilBertConfig, FlaxDistilBertForSequenceClassification, FlaxDistilBertModel
from parity_tests.helpers import golden

SOURCE = golden.GOLDEN / "micro" / "ForSequenceClassification" / "pt"
IDS = np.arange(1, 8)[None]
Model = FlaxDistilBertForSequenceClassification

SILENT: list[dict[str, Any]] = [
    {"from_pt": True, "resume_download": None, "proxies": None, "trust_remote_code": None, "_from_auto": False},
    {"force_download": False, "use_auth_token": None, "local_files_only": True, "revision": "main", "subfolder": ""},
    {"quantization_config": None, "weights_only": True, "use_fast": True, "low_cpu_mem_usage": True, "variant": None},
    {"config": str(SOURCE)},
    {"config": DistilBertConfig.from_pretrained(SOURCE)},
    {"input_shape": (1, 128), "seed": 1},
]


@pytest.mark.parametrize("options", SILENT, ids=lambda options: ",".join(options))
def test_options_of_from_pretrained_that_ask_for_nothing_here(options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Model.from_pretrained(pretrained_model_name_or_path=str(SOURCE), **options)
    assert np.array_equal(model(IDS).logits, Model.from_pretrained(SOURCE)(IDS).logits)
    assert not set(options) & set(model.config.to_dict())


def test_options_without_effect_are_named_and_secrets_are_not_kept(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"no effect has device_map .*, trust_remote_code"):
        model = Model.from_pretrained(SOURCE, device_map="auto", trust_remote_code=True, use_auth_token="hf_secret")
    model.save_pretrained(tmp_path)
    assert "hf_secret" not in (tmp_path / "config.json").read_text()
    assert "trust_remote_code" not in (tmp_path / "config.json").read_text()
    with pytest.raises(InputError, match="pretrained_model_name_or_path is None"):
        Model.from_pretrained(None)
    with pytest.raises(TypeError, match="num_lables"):
        Model.from_pretrained(SOURCE, num_lables=3)


def test_the_dtype_may_come_second_as_in_transformers() -> None:
    assert Model.from_pretrained(SOURCE, "bfloat16")(IDS).logits.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (lambda path: Model.from_pretrained(path / "nothing"), OSError),
        (lambda path: Model.from_pretrained(path), OSError),
        (lambda path: Model.from_pretrained(path, config=DistilBertConfig()), OSError),
        (lambda path: Model.from_pretrained(SOURCE, config=str(path)), OSError),
        (lambda path: Model.from_pretrained(SOURCE, num_labels=9), RuntimeError),
        (lambda path: Model.from_pretrained(SOURCE, vocab_size=99), RuntimeError),
        (lambda path: Model.from_pretrained(SOURCE, num_labels=9), ValueError),
    ],
)
def test_errors_are_caught_as_in_transformers(cause: Any, kind: type, tmp_path: Path) -> None:
    with pytest.raises(kind):
        cause(tmp_path)


def test_options_of_save_pretrained(tmp_path: Path) -> None:
    model = Model.from_pretrained(SOURCE)
    model.save_pretrained(tmp_path / "not", is_main_process=False)
    assert not (tmp_path / "not").exists()
    doubled = jax.tree.map(lambda x: 2 * x, model.params)
    for name, options in (("first", {"params": doubled}), ("second", {"state_dict": doubled, "token": None})):
        model.save_pretrained(tmp_path / name, **options)
        again = Model.from_pretrained(tmp_path / name)
        assert jax.tree.all(jax.tree.map(np.array_equal, again.params, doubled))
    model.save_pretrained(tmp_path / "third", doubled, False, "1GB", None, True)  # in transformers' order
    assert (tmp_path / "third" / "model.safetensors").exists()
    model.save_pretrained(tmp_path / "fourth", variant="fp16")
    assert (tmp_path / "fourth" / "flax_model.fp16.msgpack").exists()
    assert Model.from_pretrained(tmp_path / "fourth", variant="fp16").load_report.ok
    with pytest.warns(UserWarning, match="save_function has no effect"):
        model.save_pretrained(tmp_path / "fifth", save_function=print)
    with pytest.raises(TypeError, match="safe_serialisation"):
        model.save_pretrained(tmp_path / "sixth", safe_serialisation=True)


def test_what_programs_ask_of_any_flax_model() -> None:
    model = Model(DistilBertConfig.from_pretrained(SOURCE), input_shape=(2, 7), seed=3)
    assert (model.framework, model.main_input_name, model.base_model_prefix) == ("flax", "input_ids", "distilbert")
    assert model.input_shape == (2, 7)
    assert np.array_equal(model.key, jax.random.PRNGKey(3))
    assert model.required_params == set(flatten_dict(model.params))
    assert (model.num_labels, model.name_or_path) == (model.config.num_labels, str(SOURCE))
    assert not Model.can_generate()
    assert model(**model.dummy_inputs).logits.shape == (3, model.num_labels)
    tables = sum(x.size for path, x in flatten_dict(model.params).items() if path[-1] == "embedding")
    assert model.num_parameters() - model.num_parameters(exclude_embeddings=True) == tables
    assert "key" not in vars(model)
    twin = Model._from_config(model.config, seed=3)
    assert np.array_equal(twin.classifier.kernel[...], model.classifier.kernel[...])


def test_gradient_checkpointing_under_both_names() -> None:
    model = FlaxDistilBertModel.from_pretrained(SOURCE)
    assert model.supports_gradient_checkpointing
    model.enable_gradient_checkpointing()
    assert model.is_gradient_checkpointing
    model.gradient_checkpointing_disable()
    assert not model.is_gradient_checkpointing
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert model.is_gradient_checkpointing


PUBLIC = [
    "base_model_prefix",
    "can_generate",
    "config",
    "config_class",
    "enable_gradient_checkpointing",
    "framework",
    "from_pretrained",
    "init_weights",
    "main_input_name",
    "params",
    "params_shape_tree",
    "push_to_hub",
    "required_params",
    "save_pretrained",
    "to_bf16",
    "to_fp16",
    "to_fp32",
    "dtype",
    "input_shape",
    "key",
]
"""What `dir()` of a model of transformers 4.57 shows, less text generation, Linen's module and its own file readers."""


def test_the_public_names_of_transformers_are_there() -> None:
    model = Model(DistilBertConfig.from_pretrained(SOURCE))
    assert [name for name in PUBLIC if not hasattr(model, name)] == []
    order = list(inspect.signature(Model.save_pretrained).parameters)[1:7]
    assert order == ["save_directory", "params", "push_to_hub", "max_shard_size", "token", "safe_serialization"]
