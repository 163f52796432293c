"""A model that is deleted is freed, and its programs stay for the next one of the same structure."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from distilbert_common.errors import InputError
from distilbert_flax import (
    DistilBertConfig,
    FlaxDistilBertForMaskedLM,
    FlaxDistilBertForSequenceClassification,
    FlaxDistilBertModel,
)
from distilbert_flax.fast.programs import MAX_PROGRAMS, program
from parity_tests.helpers import golden

SIZES = {"vocab_size": 40, "max_position_embeddings": 16, "n_layers": 1, "n_heads": 2, "dim": 12, "hidden_dim": 20}
IDS = np.arange(1, 9)[None]
Model = FlaxDistilBertForSequenceClassification


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model(IDS),
        lambda model: model(IDS, params=model.params),
        lambda model: model(IDS, labels=np.array([1]), train=True),
        lambda model: nnx.grad(lambda model: model(IDS, labels=np.array([1])).loss)(model),
        lambda model: (model.resize_token_embeddings(44), model(IDS)),
        lambda model: (model.distilbert(IDS), model(IDS)),
    ],
    ids=["call", "params", "train", "grad", "resized", "the model inside too"],
)
def test_a_deleted_model_is_freed_at_once(use: Callable[[Model], object]) -> None:
    model = Model(DistilBertConfig(**SIZES))
    use(model)
    parts = [weakref.ref(part) for _, part in nnx.iter_modules(model)]
    parts += [weakref.ref(values) for values in jax.tree.leaves(model.params)]
    gc.collect()  # what the call itself left
    del model
    assert not [part() for part in parts if part() is not None]


def test_a_model_that_a_part_of_it_leads_back_to_is_freed() -> None:
    model = Model(DistilBertConfig(**SIZES))
    model.classifier.owner = model
    model(IDS)
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_models_of_equal_structure_share_programs_whatever_made_them(tmp_path: Path) -> None:
    first = Model(DistilBertConfig(**SIZES))
    first(IDS)
    first.save_pretrained(tmp_path)
    second, loaded = Model(DistilBertConfig(**SIZES), seed=1), Model.from_pretrained(tmp_path)
    before = program.cache_info().misses
    for model in (second, loaded, nnx.clone(first)):
        model(IDS)
    del first
    second(IDS)
    assert program.cache_info().misses == before


def test_a_field_that_is_set_later_changes_the_programs_of_its_own_model_only() -> None:
    first, second = (FlaxDistilBertModel(DistilBertConfig(**SIZES)) for _ in range(2))
    first(IDS), second(IDS)
    first.config.output_hidden_states = True
    wider = np.concatenate([IDS, IDS], axis=1)
    assert list(second(wider)) == ["last_hidden_state"]
    assert list(first(wider)) == ["last_hidden_state", "hidden_states"]


def test_programs_are_bounded_in_number() -> None:
    assert program.cache_info().maxsize == MAX_PROGRAMS


def test_labels_are_checked_before_the_call_and_no_call_runs_twice() -> None:
    path = golden.GOLDEN / "micro" / "ForMaskedLM" / "pt"
    model = FlaxDistilBertForMaskedLM.from_pretrained(path)
    counter = model.distilbert.embeddings.dropout.rngs.count
    before = int(counter[...])
    for options in ({}, {"loss_only": True}):
        with pytest.raises(InputError, match="labels hold 77"):
            model(IDS, labels=np.full_like(IDS, 77), train=True, **options)
    assert int(counter[...]) == before, "nothing ran"
    model.params = jax.tree.map(lambda x: x * np.nan, model.params)
    assert np.isnan(model(IDS, labels=IDS, train=True).loss)
    assert int(counter[...]) == before + 1, "NaN is what it is, and is not computed again"
