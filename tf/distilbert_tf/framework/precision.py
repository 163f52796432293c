"""Keras fixes what a layer computes in when it is made: its policy is replaced where it is to compute otherwise."""

from __future__ import annotations

import keras

from distilbert_tf.framework.structure import walk

__all__ = ["compute_in"]


def compute_in(model: keras.Model, dtype: str) -> None:
    """Let all layers of a model compute in a dtype; their variables stay as they are.

    Args:
        model: The model, whose weights are made.
        dtype: "float32", "bfloat16" or "float16".
    """
    policy = keras.DTypePolicy(dtype if dtype == "float32" else f"mixed_{dtype}")
    for _, layer in walk(model):
        layer.dtype_policy = policy
