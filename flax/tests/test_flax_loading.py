"""How weights come to memory: copied once."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from distilbert_flax import FlaxDistilBertForSequenceClassification
from distilbert_flax.arrays import to_jax
from parity_tests.helpers import golden

SOURCE = golden.GOLDEN / "micro" / "ForSequenceClassification" / "pt"


def test_no_other_values_are_made_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(*_: Any) -> None:
        raise AssertionError("an initial value was made")

    monkeypatch.setattr(FlaxDistilBertForSequenceClassification, "initial_value", made)
    assert FlaxDistilBertForSequenceClassification.from_pretrained(SOURCE).load_report.ok


@pytest.mark.parametrize("offset", [0, 8, 16, 32])
def test_an_array_is_copied_whatever_its_place_in_memory(offset: int) -> None:
    """JAX shows an array that lies at a multiple of some number of bytes as it is."""
    memory = np.zeros(2**20 + 256, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    array = memory[start : start + 2**20].view(np.float32).reshape(512, 512)
    array[:] = np.arange(512, dtype=np.float32)
    before = array.copy()
    loaded, transposed = to_jax(array, "float32"), to_jax(array.T, "float32")
    array[:] = 0
    np.testing.assert_array_equal(loaded, before)
    np.testing.assert_array_equal(transposed, before.T)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_dtype_is_rounded_to_as_jax_does(dtype: str) -> None:
    array = np.random.default_rng(0).standard_normal((64, 3), np.float32)
    for source in (array, array.T):
        np.testing.assert_array_equal(to_jax(source, jnp.dtype(dtype)), jnp.asarray(source).astype(dtype))
    assert jnp.isinf(to_jax(np.float32([1e30]), jnp.dtype("float16"))).all()
