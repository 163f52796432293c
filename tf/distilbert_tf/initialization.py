"""The initial values of weights, as Keras' initializers."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from distilbert_common import DistilBertConfig
from distilbert_common.initialization import init_scheme, sinusoidal_table
from distilbert_tf.arrays import Tensor

__all__ = ["Normal", "Sinusoidal", "initializer", "serializable"]

serializable = keras.saving.register_keras_serializable(package="distilbert_tf")
"""Registers a class, so that Keras loads it from a file without `custom_objects`."""


@serializable
class Normal(keras.initializers.RandomNormal):
    """Normal values around 0, with one row of zeros."""

    def __init__(self, stddev: float, zero_row: int | None = None, seed: int | None = None, mean: float = 0.0) -> None:
        super().__init__(mean, stddev, seed)
        self.zero_row = zero_row

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        """Return a tensor of the given shape and dtype."""
        values = super().__call__(shape, dtype)
        if self.zero_row is None:
            return values
        return ops.where((ops.arange(shape[0]) != self.zero_row)[:, None], values, ops.zeros_like(values))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "zero_row": self.zero_row}


@serializable
class Sinusoidal(keras.initializers.Initializer):
    """The sinusoidal position table."""

    def __call__(self, shape: tuple[int, int], dtype: Any = None) -> Tensor:
        """Return a tensor of the given shape and dtype."""
        return ops.convert_to_tensor(sinusoidal_table(*shape), dtype=dtype)


def initializer(name: str, config: DistilBertConfig) -> keras.initializers.Initializer:
    """Return what gives a parameter its initial value, by `init_scheme`.

    Args:
        name: Its canonical (PyTorch) name, or the end of it.
        config: The model's config.
    """
    kind = init_scheme(name, config)
    if kind == "sinusoidal":
        return Sinusoidal()
    if kind in ("zeros", "ones"):
        return keras.initializers.get(kind)
    return Normal(config.initializer_range, config.pad_token_id if kind == "word_table" else None)
