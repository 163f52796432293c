"""How weights come to memory: as the first values of their variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tf_models import MICRO, array, same_weights

from distilbert_common.errors import CheckpointError
from distilbert_conversion import LazyTensor
from distilbert_tf import TFDistilBertForSequenceClassification
from distilbert_tf.initialization import Normal
from distilbert_tf.loading import CheckpointInitializer, flush

SOURCE = MICRO / "ForSequenceClassification" / "pt"


def load(folder: Path) -> TFDistilBertForSequenceClassification:
    return TFDistilBertForSequenceClassification.from_pretrained(folder)


def test_no_other_values_are_made_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, ...]] = []

    def noted(kind: type[keras.initializers.Initializer]) -> Any:
        call = kind.__call__
        return lambda self, shape, dtype=None: (made.append(shape), call(self, shape, dtype))[1]

    for kind in (Normal, keras.initializers.Zeros, keras.initializers.Ones):
        monkeypatch.setattr(kind, "__call__", noted(kind))
    load(SOURCE)
    assert made == []
    load(MICRO / "Model" / "pt")
    assert sorted(made) == [(2,), (12,), (12, 2), (12, 12)], "a new head"


def test_a_tensor_that_cannot_be_read_leaves_keras_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras would otherwise try to fill the variables of the broken model whenever another one is made."""

    def broken(tensor: LazyTensor) -> np.ndarray:
        raise CheckpointError("damaged")

    with monkeypatch.context() as patched:
        patched.setattr(LazyTensor, "read", broken)
        with pytest.raises(CheckpointError, match="damaged"):
            load(SOURCE)
    assert same_weights(load(SOURCE), load(SOURCE))
    with keras.StatelessScope():
        layer = keras.layers.Dense(2)
        layer.build((None, 3))
    assert layer.kernel.shape == (3, 2)


@pytest.mark.parametrize("transposed", [False, True])
def test_values_that_keras_did_not_take_are_assigned(transposed: bool) -> None:
    stored = np.arange(12, dtype=np.float32).reshape(3, 4)
    variable = keras.Variable(np.zeros((4, 3) if transposed else (3, 4), np.float32))
    flush(
        {"name": variable},
        {"name": CheckpointInitializer(LazyTensor(stored.shape, stored.dtype, lambda: stored), transposed)},
    )
    np.testing.assert_array_equal(array(variable), stored.T if transposed else stored)
