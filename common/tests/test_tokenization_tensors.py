from __future__ import annotations

import jax
import numpy as np
import pytest
import tensorflow as tf
import torch
from tokenizer_cases import CLASSES, tokenizer

KINDS = {
    "np": (np.ndarray, "int64"),
    "pt": (torch.Tensor, "int64"),
    "tf": (tf.Tensor, "int32"),
    "jax": (jax.Array, "int32"),
}
"""The type of each kind of tensor, and the type of the numbers in it, as in transformers."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_holds_the_same(kind: str) -> None:
    one = tokenizer(CLASSES[1])
    options = {"padding": True, "return_offsets_mapping": True, "return_length": True}
    expected = one(["the dog", "a"], **options)
    encoded = one(["the dog", "a"], **options, return_tensors=kind)
    for name, value in encoded.items():
        assert isinstance(value, KINDS[kind][0])
        assert str(value.dtype).endswith(KINDS[kind][1]) or value.dtype.name == KINDS[kind][1]
        np.testing.assert_array_equal(np.asarray(value), np.array(expected[name]))
    assert one.batch_decode(encoded["input_ids"]) == one.batch_decode(expected["input_ids"])
    assert one.pad(encoded)["input_ids"].shape == (2, 4)
    assert isinstance(one.pad(encoded)["input_ids"], KINDS[kind][0])
