"""Dropout acts where the paper has it, and only in training, in each family alike."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from distilbert_cli.frameworks import FRAMEWORKS, Framework
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0, "qa_dropout": 0.0, "seq_classif_dropout": 0.0}


def evaluated(framework: Framework, model: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return the first output of a model in eval mode."""
    if framework.name == "tf":
        return keras.ops.convert_to_numpy(model(inputs)[0])  # nothing is dropped unasked
    model.eval()
    return first_output(framework, model, inputs)


def trained(framework: Framework, model: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return the first output of a model in training."""
    if framework.name == "tf":
        return keras.ops.convert_to_numpy(model(inputs, training=True)[0])
    model.train()
    return first_output(framework, model, inputs)


def first_output(framework: Framework, model: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    flags = {"jit": False} if framework.name == "flax" else {}
    return next(iter(framework.run(model, inputs, "cpu", flags).values()))


@pytest.mark.parametrize(
    ("head", "rates", "acts"),
    [
        ("Model", {}, False),
        ("Model", {"dropout": 0.3}, True),
        ("Model", {"attention_dropout": 0.3}, True),
        ("ForMaskedLM", {"qa_dropout": 0.3}, False),
        ("ForMaskedLM", {"seq_classif_dropout": 0.3}, False),
        ("ForMaskedLM", {"qa_dropout": 0.3, "seq_classif_dropout": 0.3}, False),
        ("ForSequenceClassification", {"seq_classif_dropout": 0.3}, True),
        ("ForMultipleChoice", {"seq_classif_dropout": 0.3}, True),
        ("ForTokenClassification", {"dropout": 0.3}, True),
        ("ForQuestionAnswering", {"qa_dropout": 0.3}, True),
    ],
)
@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=FRAMEWORKS)
def test_dropout_acts_where_the_paper_has_it_and_only_in_training(
    framework: Framework, head: str, rates: dict[str, float], acts: bool
) -> None:
    inputs = {name: golden.inputs(MICRO, head)[name] for name in ("input_ids", "attention_mask")}
    expected = evaluated(framework, framework.load(MICRO / head / "pt", head), inputs)
    model = framework.load(MICRO / head / "pt", head, **NO_DROPOUT | rates)
    assert np.array_equal(evaluated(framework, model, inputs), expected), "eval mode drops nothing"
    one, other = (trained(framework, model, inputs) for _ in range(2))
    assert np.array_equal(one, other) != acts
    assert np.array_equal(evaluated(framework, model, inputs), expected)
    if framework.name == "tf":
        assert np.array_equal(next(iter(framework.run(model, inputs, "cpu", {}).values())), expected)
