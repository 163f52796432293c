"""Modules that a user adds or replaces: they run, and are saved, loaded and reported under their own names."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from distilbert_common.errors import CheckpointError
from distilbert_flax import (
    DistilBertConfig,
    FlaxDistilBertForSequenceClassification,
    FlaxDistilBertForTokenClassification,
    FlaxDistilBertModel,
    FlaxDistilBertPreTrainedModel,
)
from parity_tests.helpers import golden

SOURCE = golden.GOLDEN / "micro" / "ForSequenceClassification" / "pt"
IDS = np.arange(1, 8)[None]


class WithExtraLayer(FlaxDistilBertForSequenceClassification):
    """One of the six with a layer more, made by NNX."""

    def __init__(self, config: DistilBertConfig, **options: Any) -> None:
        super().__init__(config, **options)
        self.extra = nnx.Linear(config.dim, config.dim, rngs=nnx.Rngs(3))

    def forward(self, input_ids: jax.Array, attention_mask: jax.Array | None = None) -> jax.Array:
        """(batch, seq) -> (batch, num_labels)."""
        hidden = self.distilbert(input_ids, attention_mask).last_hidden_state
        return self.classifier(jax.nn.relu(self.extra(hidden[:, 0])))


class Tagger(FlaxDistilBertPreTrainedModel):
    """A head of one's own, whose names are also words of the six models."""

    def __init__(self, config: DistilBertConfig, **options: Any) -> None:
        make = self.begin(config, **options)
        self.distilbert = FlaxDistilBertModel(self.config, **make.inner())
        self.head = make.linear(config.dim, 9)
        self.mask = make.norm(9)
        self.output = nnx.Sequential(nnx.Linear(9, 9, rngs=make.rngs), nnx.BatchNorm(9, rngs=make.rngs))
        self.post_init(make)

    def forward(self, input_ids: jax.Array, attention_mask: jax.Array | None = None) -> jax.Array:
        """(batch, seq) -> (batch, seq, 9)."""
        hidden = self.distilbert.forward(input_ids, attention_mask).last_hidden_state
        return self.output(self.mask(self.head(hidden)))


class BeginsLikePyTorchs(FlaxDistilBertPreTrainedModel):
    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)


def test_a_constructor_that_begins_otherwise_is_told_how() -> None:
    with pytest.raises(TypeError, match=r"BeginsLikePyTorchs calls super.*begin with make = self\.begin\(config"):
        BeginsLikePyTorchs.from_pretrained(SOURCE)


class TakesTheConfigOnly(FlaxDistilBertForSequenceClassification):
    """A constructor as tutorials write it."""

    def __init__(self, config: DistilBertConfig, width: int = 4) -> None:
        super().__init__(config)
        self.extra = nnx.Linear(config.dim, width, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("own_class", [WithExtraLayer, Tagger])
@pytest.mark.parametrize("safe", [False, True])
def test_a_model_of_ones_own_is_saved_and_loaded_whole(own_class: type, safe: bool, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="not in the checkpoint, with initial values: .*(extra|head)/kernel"):
        model = own_class.from_pretrained(SOURCE)
    before = model(IDS)
    model.save_pretrained(tmp_path, safe_serialization=safe)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = own_class.from_pretrained(tmp_path, seed=7)
    assert set(again.load_report.loaded) >= {
        path for path in map("/".join, model.required_params) if path.startswith(("extra", "head", "mask", "output"))
    }
    assert jax.tree.all(jax.tree.map(np.array_equal, again.params, model.params))
    assert np.array_equal(again(IDS), before)
    assert np.allclose(again(IDS, jit=False), before, atol=1e-6)
    assert np.array_equal(again(IDS, params=model.params), before)


def test_fresh_values_follow_the_seed_and_the_rule() -> None:
    first, second, other = (Tagger(DistilBertConfig(dim=12, n_heads=2, n_layers=1), seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.head.kernel[...], second.head.kernel[...])
    assert not np.array_equal(first.head.kernel[...], other.head.kernel[...])
    assert (first.mask.scale[...] == 1).all()
    assert not first.head.bias[...].any()


REPLACED: dict[str, Callable[[int, int], nnx.Module]] = {
    "Sequential": lambda dim, labels: nnx.Sequential(
        nnx.Linear(dim, 4, rngs=nnx.Rngs(0)), nnx.Linear(4, labels, rngs=nnx.Rngs(1))
    ),
    "LoRA beside a layer": lambda dim, labels: nnx.LoRALinear(dim, labels, lora_rank=2, rngs=nnx.Rngs(0)),
    "LoRA around a layer": lambda dim, labels: nnx.LoRA(
        dim, 2, labels, base_module=nnx.Linear(dim, labels, rngs=nnx.Rngs(0)), rngs=nnx.Rngs(0)
    ),
    "another size": lambda dim, labels: nnx.Linear(dim, labels + 2, rngs=nnx.Rngs(0)),
}


@pytest.mark.parametrize("kind", REPLACED)
def test_a_replaced_classifier_runs_and_is_saved(kind: str, tmp_path: Path) -> None:
    def replaced() -> FlaxDistilBertForSequenceClassification:
        model = FlaxDistilBertForSequenceClassification.from_pretrained(SOURCE)
        model.classifier = REPLACED[kind](model.config.dim, model.config.num_labels)
        return model

    model = replaced()
    labels = np.array([model(IDS).logits.shape[-1] - 1])
    model.params = jax.tree.map(lambda x: x + 0.01, model.params)
    expected = model(IDS, labels=labels)
    assert np.isfinite(expected.loss)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "flax_model.msgpack").exists()
    if kind == "LoRA beside a layer":
        with pytest.warns(UserWarning, match="unexpected: classifier/lora"):
            FlaxDistilBertForSequenceClassification.from_pretrained(tmp_path)
    else:  # never random values in silence
        with pytest.raises(CheckpointError, match=r"classifier\.weight"):
            FlaxDistilBertForSequenceClassification.from_pretrained(tmp_path)

    class Whole(FlaxDistilBertForSequenceClassification):
        def __init__(self, config: DistilBertConfig, **options: Any) -> None:
            super().__init__(config, **options)
            self.classifier = REPLACED[kind](config.dim, config.num_labels)

    again = Whole.from_pretrained(tmp_path)
    assert not again.load_report.new_extras
    assert jax.tree.all(jax.tree.map(np.array_equal, again.params, model.params))
    assert np.allclose(again(IDS).logits, expected.logits, atol=1e-5)


def test_a_constructor_is_given_the_options_that_it_takes() -> None:
    with pytest.warns(UserWarning, match="extra/kernel"):
        model = TakesTheConfigOnly.from_pretrained(SOURCE, width=6)
    assert model.extra.kernel.shape == (model.config.dim, 6)
    plain = FlaxDistilBertForSequenceClassification.from_pretrained(SOURCE)
    assert np.array_equal(model(IDS).logits, plain(IDS).logits)


def test_layers_that_see_other_tokens_get_no_padding_to_see() -> None:
    class Mixing(nnx.Module):
        def __init__(self, dim: int, labels: int) -> None:
            self.linear = nnx.Linear(dim, labels, rngs=nnx.Rngs(0))

        def __call__(self, x: jax.Array) -> jax.Array:
            return self.linear(x) + x.sum(axis=(1, 2), keepdims=True)

    model = FlaxDistilBertForTokenClassification.from_pretrained(
        golden.GOLDEN / "micro" / "ForTokenClassification" / "pt"
    )
    model.classifier = Mixing(model.config.dim, model.config.num_labels)
    mask = np.ones((4, 15), np.int32)
    mask[1:, 3:] = 0
    ids = np.tile(np.arange(1, 16), (4, 1))
    for inputs in ((IDS[:, :5],), (ids, mask)):
        assert np.allclose(model(*inputs).logits, model(*inputs, jit=False).logits, atol=1e-5)


def test_statistics_that_layers_keep_follow_compiled_calls() -> None:
    with pytest.warns(UserWarning, match="output/layers/1/mean"):
        compiled, plain = (Tagger.from_pretrained(SOURCE) for _ in range(2))
    for model, jit in ((compiled, True), (plain, False)):
        model.train()
        model(IDS, jit=jit)
    assert compiled.output.layers[1].mean[...].any()
    assert np.allclose(compiled.output.layers[1].mean[...], plain.output.layers[1].mean[...], atol=0.05)
    assert not compiled.trainable_mask["output"]["layers"]["1"]["mean"]
    assert compiled.trainable_mask["output"]["layers"]["1"]["scale"]


def test_attributes_that_cannot_be_hashed_only_cost_the_compilation() -> None:
    model = FlaxDistilBertForSequenceClassification.from_pretrained(SOURCE)
    expected = model(IDS).logits
    model.notes = {"labels": [1, 2]}
    assert np.allclose(model(IDS).logits, expected, atol=1e-6)


def test_fewer_layers_are_saved_as_such(tmp_path: Path) -> None:
    model = FlaxDistilBertForSequenceClassification.from_pretrained(SOURCE)
    model.distilbert.transformer.layer = nnx.List(model.distilbert.transformer.layer[:1])
    expected = model(IDS).logits
    model.save_pretrained(tmp_path)
    again = FlaxDistilBertForSequenceClassification.from_pretrained(tmp_path)
    assert again.config.n_layers == 1
    assert np.array_equal(again(IDS).logits, expected)


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    class Counting(FlaxDistilBertForSequenceClassification):
        def __init__(self, config: DistilBertConfig, **options: Any) -> None:
            super().__init__(config, **options)
            self.steps = nnx.Variable(jnp.zeros((), jnp.int32))

    with pytest.warns(UserWarning, match="steps"):
        model = Counting.from_pretrained(SOURCE, param_dtype="bfloat16")
    model.steps.set_value(jnp.int32(41))
    model.save_pretrained(tmp_path)
    again = Counting.from_pretrained(tmp_path)
    assert again.steps[...] == 41
    assert again.steps[...].dtype == jnp.int32
