"""How weights come to memory: as the first values of their variables, copied, and no part of the file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tf_models import MICRO, array

from distilbert_common.errors import CheckpointError
from distilbert_conversion import LazyTensor
from distilbert_tf import TFDistilBertForSequenceClassification
from distilbert_tf.initialization import Normal
from distilbert_tf.loading import CheckpointInitializer, flush

SOURCE = MICRO / "ForSequenceClassification" / "pt"


def load(folder: Path, **options: Any) -> TFDistilBertForSequenceClassification:
    return TFDistilBertForSequenceClassification.from_pretrained(folder, **options)


def values(model: keras.Model) -> list[np.ndarray]:
    return [array(variable) for variable in model.weights]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(mine, others) for mine, others in zip(one, other, strict=True))


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


@pytest.mark.parametrize("folder", ["pt", "tf_safetensors", "tf_h5", "flax_msgpack"])
def test_a_model_is_no_part_of_the_file_that_it_was_loaded_from(folder: str, tmp_path: Path) -> None:
    source = Path(shutil.copytree(SOURCE.parent / folder, tmp_path / "model"))
    model = load(source)
    before = values(model)
    for file in source.iterdir():
        with file.open("r+b") as opened:  # in its place
            opened.write(bytes(file.stat().st_size))
    assert same(values(model), before)
    shutil.rmtree(source)
    assert same(values(model), before)
    assert same(values(load(SOURCE)), before)


def test_saving_to_the_folder_that_a_model_was_loaded_from(tmp_path: Path) -> None:
    source = Path(shutil.copytree(SOURCE, tmp_path / "model"))
    model = load(source)
    model.classifier.kernel.assign(model.classifier.kernel + 1)
    model.save_pretrained(source, safe_serialization=True)
    assert same(values(load(source)), values(model))


def test_a_tensor_that_cannot_be_read_leaves_keras_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras would otherwise try to fill the variables of the broken model whenever another one is made."""

    def broken(tensor: LazyTensor) -> np.ndarray:
        raise CheckpointError("damaged")

    with monkeypatch.context() as patched:
        patched.setattr(LazyTensor, "read", broken)
        with pytest.raises(CheckpointError, match="damaged"):
            load(SOURCE)
    assert same(values(load(SOURCE)), values(load(SOURCE)))
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
