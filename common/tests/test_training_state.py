"""How each parameter is trained, and what new weights and steps draw from."""

from __future__ import annotations

import numpy as np
import pytest

from distilbert_common import DistilBertConfig
from distilbert_common.training import EngineOptions, Parameter, parameter_rules
from distilbert_common.training_state import initial_weights, step_seed

NAMES = (
    "embeddings.word_embeddings.weight",
    "embeddings.LayerNorm.weight",
    "transformer.layer.0.attention.q_lin.weight",
    "transformer.layer.0.attention.q_lin.bias",
    "transformer.layer.1.sa_layer_norm.weight",
    "transformer.layer.1.ffn.lin1.weight",
    "classifier.weight",
    "classifier.bias",
)


def test_biases_and_layer_norms_do_not_decay_and_rates_fall_with_depth() -> None:
    options = EngineOptions(weight_decay=0.01, layer_decay=0.5)
    rules = parameter_rules(NAMES, options)
    assert list(parameter_rules([f"distilbert.{name}" for name in NAMES], options).values()) == list(rules.values())
    assert list(rules.values()) == [
        Parameter(0.125, 0.01),
        Parameter(0.125, 0.0),
        Parameter(0.25, 0.01),
        Parameter(0.25, 0.0),
        Parameter(0.5, 0.0),
        Parameter(0.5, 0.01),
        Parameter(1.0, 0.01),
        Parameter(1.0, 0.0),
    ]


@pytest.mark.parametrize(
    ("part", "frozen"), [("embeddings", 2), ("layer.1", 2), ("transformer", 4), ("q_lin.bias", 1), ("classifier", 2)]
)
def test_frozen_parts(part: str, frozen: int) -> None:
    rules = parameter_rules(NAMES, EngineOptions(frozen=(part,)))
    assert [rule.rate for rule in rules.values()].count(0.0) == frozen


def test_a_new_weight_depends_on_its_name_and_the_seed_alone() -> None:
    config = DistilBertConfig(initializer_range=0.5, pad_token_id=1)
    shapes = {"classifier.weight": (40, 50), "classifier.bias": (40,), "vocab_layer_norm.weight": (3,)}
    weights = initial_weights(shapes, config, seed=0)
    again = initial_weights(
        {"classifier.weight": (40, 50), "embeddings.word_embeddings.weight": (3, 2)}, config, seed=0
    )
    assert np.array_equal(weights["classifier.weight"], again["classifier.weight"])
    assert weights["classifier.weight"].dtype == np.float32
    assert weights["classifier.weight"].std() == pytest.approx(0.5, rel=0.05)
    assert not weights["classifier.bias"].any()
    assert (weights["vocab_layer_norm.weight"] == 1).all()
    assert again["embeddings.word_embeddings.weight"].any(axis=1).tolist() == [True, False, True]
    other = initial_weights(shapes, config, seed=1)
    assert not np.array_equal(weights["classifier.weight"], other["classifier.weight"])


def test_each_step_and_process_has_a_seed_of_its_own() -> None:
    seeds = {step_seed(seed, step, rank) for seed in range(3) for step in range(50) for rank in range(3)}
    assert len(seeds) == 450
    assert step_seed(1, 2) == step_seed(1, 2)
    assert all(0 <= seed < 2**63 for seed in seeds)
