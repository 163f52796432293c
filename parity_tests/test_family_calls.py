"""What a call does in each family alike: tuples, token types, attention implementations, activations, bad configs."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
import pytest
import torch

from distilbert_cli.frameworks import FRAMEWORKS, Framework
from distilbert_common import DistilBertConfig
from distilbert_common.errors import ConfigError, InputError
from parity_tests.helpers import golden
from parity_tests.helpers.tolerances import MATRIX

MICRO = golden.GOLDEN / "micro"
PT = MICRO / "ForMaskedLM" / "pt"
SMALL = {"vocab_size": 40, "n_layers": 1, "n_heads": 2, "dim": 12, "hidden_dim": 20}
INPUTS = {"input_ids": np.arange(1, 8)[None]}


def logits(framework: Framework, model: Any) -> np.ndarray:
    return framework.run(model, INPUTS, "cpu", {})["logits"]


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_unusable_configs(framework: Framework) -> None:
    with pytest.raises(TypeError, match="config is a dict; expected a DistilBertConfig"):
        framework.model_class("Model")({"dim": 3})
    with pytest.raises(ConfigError, match="attn_implementation is 'flash'"):
        framework.model_class("Model")(DistilBertConfig(**SMALL, attn_implementation="flash"))
    with pytest.raises(InputError, match="needs 2: start and end"):
        framework.model_class("ForQuestionAnswering")(DistilBertConfig(**SMALL, num_labels=3))


@pytest.mark.parametrize("head", golden.HEADS)
@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_tuples_hold_the_fields_in_order(framework: Framework, head: str) -> None:
    model, inputs = framework.load(MICRO / head / "pt", head), golden.inputs(MICRO, head)
    if framework.name == "pt":
        inputs = {name: torch.from_numpy(array) for name, array in inputs.items()}
    args, kwargs = ((inputs,), {}) if framework.name == "tf" else ((), inputs)
    kwargs = {**kwargs, "output_hidden_states": True, "output_attentions": True}
    with torch.no_grad():
        as_output = model(*args, **kwargs)
        as_tuple = model(*args, **kwargs, return_dict=False)
    assert isinstance(as_tuple, tuple)
    assert len(as_tuple) == len(as_output)
    for mine, other in zip(as_tuple, as_output.to_tuple(), strict=True):
        for a, b in zip(mine, other, strict=True) if isinstance(mine, tuple) else [(mine, other)]:
            assert np.array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_token_type_ids_are_ignored_with_a_warning_where_set(framework: Framework) -> None:
    model, ids = framework.load(MICRO / "Model" / "pt", "Model"), golden.inputs(MICRO, "Model")["input_ids"]

    def encode(**inputs: np.ndarray) -> np.ndarray:
        return framework.run(model, {"input_ids": ids, **inputs}, "cpu", {})["last_hidden_state"]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zeros = encode(token_type_ids=np.zeros_like(ids))
    with pytest.warns(UserWarning, match="token_type_ids holds non-zero"):
        ones = encode(token_type_ids=np.ones_like(ids))
    assert np.array_equal(zeros, encode())
    assert np.array_equal(ones, zeros)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_attention_implementations_agree(framework: Framework, implementation: str) -> None:
    ids = golden.inputs(MICRO, "Model")["input_ids"]
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    inputs["attention_mask"][0, 3:], inputs["attention_mask"][1] = 0, 0
    model = framework.load(MICRO / "Model" / "pt", "Model", attn_implementation=implementation)
    eager = framework.run(model, inputs, "cpu", {"output_attentions": True})
    assert sum(name.startswith("attentions") for name in eager) == model.config.n_layers
    uniform = 1 / ids.shape[1]
    assert np.abs(eager["attentions/0"][1] - uniform).max() < 1e-6, "where there is nothing to attend to"
    flags = {} if framework.name == "flax" else {"unpad": False}  # Flax computes the padding of so small a batch
    plain = framework.run(model, inputs, "cpu", flags)
    assert np.abs(plain["last_hidden_state"] - eager["last_hidden_state"]).max() < 2e-6


@pytest.mark.parametrize("activation", ["gelu_new", "relu", "silu", "tanh", "mish"])
@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_activation_is_used_in_blocks_and_masked_lm_head(framework: Framework, activation: str) -> None:
    gelu, other = framework.load(PT, "ForMaskedLM"), framework.load(PT, "ForMaskedLM", activation=activation)
    assert other.activation is other.distilbert.transformer.layer[0].ffn.activation
    assert np.abs(logits(framework, gelu) - logits(framework, other)).max() > 1e-5


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_an_unknown_word_on_padding_and_a_layout_beside_a_mask_are_refused(framework: Framework) -> None:
    mask = {"attention_mask": np.ones((1, 7), np.int64)}
    for head in ("Model", "ForTokenClassification"):
        model = framework.load(PT.parents[1] / head / "pt", head)
        with pytest.raises(InputError, match="unpad is 'yes'; expected"):
            framework.run(model, INPUTS | mask, "cpu", {"unpad": "yes"})
        layout = importlib.import_module(f"{framework.package}.layout").Padded()
        with pytest.raises(InputError, match="layout was given with attention_mask or segment_ids"):
            framework.run(model, INPUTS | mask, "cpu", {"layout": layout})


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_every_head_takes_embeddings_in_the_place_of_ids(framework: Framework) -> None:
    mask = np.array([[1, 1, 1, 1, 1, 1, 0], [1, 1, 0, 0, 0, 0, 0]])
    for head in golden.HEADS:
        model = framework.load(PT.parents[1] / head / "pt", head)
        shape = (2, 1, 7) if head == "ForMultipleChoice" else (2, 7)
        x = np.random.default_rng(0).normal(size=(*shape, model.config.dim)).astype(np.float32)
        results = framework.run(model, {"inputs_embeds": x, "attention_mask": mask.reshape(shape)}, "cpu", {})
        assert all(np.isfinite(array).all() for array in results.values())


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_a_model_without_its_last_block_runs(framework: Framework) -> None:
    model = framework.load(PT, "ForMaskedLM")
    del model.distilbert.transformer.layer[-1]
    factors = np.ones((len(model.distilbert.transformer.layer), model.config.n_heads), np.float32)
    for flags in ({}, {"output_hidden_states": True}):
        results = framework.run(model, INPUTS | {"head_mask": factors}, "cpu", flags)
        assert np.allclose(results["logits"], framework.run(model, INPUTS, "cpu", {})["logits"], atol=MATRIX.value)
    assert len([name for name in results if name.startswith("hidden_states")]) == len(factors) + 1
