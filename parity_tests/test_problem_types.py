"""The loss of a sequence classifier by its problem type, in each family alike: one rule, per call."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from distilbert_common import DistilBertConfig
from parity_tests.helpers.loss_definitions import binary_cross_entropy, cross_entropy, squared_error

Tensors = Callable[[np.ndarray], Any]


@pytest.mark.parametrize(
    ("config", "labels", "expected"),
    [
        ({"num_labels": 3}, np.array([0, 2]), cross_entropy),
        ({"num_labels": 3}, np.array([0, 2], np.int32), cross_entropy),
        ({"num_labels": 1}, np.array([0.5, -2.0]), lambda x, y: squared_error(x[:, 0], y)),
        ({"num_labels": 1}, np.array([[1], [3]]), squared_error),
        ({"num_labels": 3}, np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]), binary_cross_entropy),
        ({"num_labels": 3}, np.array([[1, 0, 1], [0, 0, 1]]), binary_cross_entropy),
        ({"num_labels": 3, "problem_type": "regression"}, np.array([[1.0, 2, 3], [4, 5, 6]]), squared_error),
    ],
    ids=["single", "single int32", "regression", "regression int", "multi float", "multi int", "named regression"],
)
@pytest.mark.parametrize(
    ("family", "logits_as", "labels_as"),
    [("pt", torch.from_numpy, torch.from_numpy), ("tf", np.asarray, np.asarray), ("flax", jnp.asarray, np.asarray)],
    ids=["pt", "tf", "flax"],
)
def test_problem_types(
    family: str,
    logits_as: Tensors,
    labels_as: Tensors,
    config: dict[str, Any],
    labels: np.ndarray,
    expected: Callable[[np.ndarray, np.ndarray], float],
) -> None:
    config = DistilBertConfig(**config)
    logits = np.random.default_rng(1).normal(size=(2, config.num_labels)).astype(np.float32)
    before = config.to_dict()
    losses = importlib.import_module(f"distilbert_{family}.losses")
    loss = losses.sequence_classification_loss(logits_as(logits), labels_as(labels), config)
    assert float(loss) == pytest.approx(expected(logits, labels), rel=1e-6)
    assert config.to_dict() == before, "the inferred problem type is not written back"
