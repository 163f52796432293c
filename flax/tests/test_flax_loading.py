"""How weights come to memory: copied once, and no part of the file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from distilbert_flax import FlaxDistilBertForSequenceClassification
from distilbert_flax.arrays import to_jax
from parity_tests.helpers import golden

SOURCE = golden.GOLDEN / "micro" / "ForSequenceClassification" / "pt"


def load(folder: Path) -> FlaxDistilBertForSequenceClassification:
    return FlaxDistilBertForSequenceClassification.from_pretrained(folder)


def values(model: FlaxDistilBertForSequenceClassification) -> list[np.ndarray]:
    return [np.array(leaf) for leaf in jax.tree.leaves(model.params)]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(mine, others) for mine, others in zip(one, other, strict=True))


def test_no_other_values_are_made_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(*_: Any) -> None:
        raise AssertionError("an initial value was made")

    monkeypatch.setattr(FlaxDistilBertForSequenceClassification, "initial_value", made)
    assert load(SOURCE).load_report.ok


@pytest.mark.parametrize("folder", ["pt", "pt_bin", "tf_safetensors", "tf_h5", "flax_msgpack"])
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
    model.classifier.kernel.set_value(model.classifier.kernel[...] + 1)
    model.save_pretrained(source, safe_serialization=True)
    assert same(values(load(source)), values(model))


@pytest.mark.parametrize("offset", [0, 8, 16, 32])
def test_an_array_is_copied_whatever_its_place_in_memory(offset: int) -> None:
    """JAX shows an array that lies at a multiple of some number of bytes as it is."""
    memory = np.zeros(2**20 + 256, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    array = memory[start : start + 2**20].view(np.float32).reshape(512, 512)
    array[:] = np.arange(512, dtype=np.float32)
    wanted = array.copy()
    found, turned = to_jax(array, "float32"), to_jax(array.T, "float32")
    array[:] = 0
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(turned, wanted.T)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_dtype_is_rounded_to_as_jax_does(dtype: str) -> None:
    array = np.random.default_rng(0).standard_normal((64, 3), np.float32)
    for given in (array, array.T):
        np.testing.assert_array_equal(to_jax(given, jnp.dtype(dtype)), jnp.asarray(given).astype(dtype))
    assert jnp.isinf(to_jax(np.float32([1e30]), jnp.dtype("float16"))).all()
