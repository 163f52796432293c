"""The small models and inputs that the tests of this folder share."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import distilbert_tf
from distilbert_common import DistilBertConfig
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"
SMALL = {"vocab_size": 40, "max_position_embeddings": 16, "n_layers": 2, "n_heads": 2, "dim": 12, "hidden_dim": 20}
CLASSES = {head: getattr(distilbert_tf, f"TFDistilBert{head}") for head in golden.HEADS}
TASKS = golden.HEADS[1:]


def small(**fields: Any) -> DistilBertConfig:
    return DistilBertConfig(**{**SMALL, **fields})


def load(head: str, **kwargs: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the micro model of a head, and its golden inputs."""
    return CLASSES[head].from_pretrained(MICRO / head / "pt", **kwargs), golden.inputs(MICRO, head)


def unlabeled(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: inputs[name] for name in ("input_ids", "attention_mask")}


def array(x: Any) -> np.ndarray:
    """Return a tensor's values as float32, or those of what is no float."""
    floating = keras.backend.is_float_dtype(x.dtype)
    return keras.ops.convert_to_numpy(keras.ops.cast(x, "float32") if floating else x)


def difference(one: Any, other: Any) -> float:
    """Return the largest difference of two tensors of one shape."""
    one, other = array(one), array(other)
    assert one.shape == other.shape
    return float(np.abs(one - other).max())


def same_weights(one: Any, other: Any) -> bool:
    mine, others = dict(one.named_variables()), dict(other.named_variables())
    return mine.keys() == others.keys() and all(
        mine[name].dtype == others[name].dtype and np.array_equal(array(mine[name]), array(others[name]))
        for name in mine
    )
