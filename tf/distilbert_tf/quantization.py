"""Dense layers and tables of 8 bits by Keras' own quantization, with scales that files hold to the last bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras.quantizers import AbsMaxQuantizer, Int8QuantizationConfig

from distilbert_common.errors import InputError
from distilbert_common.quantization import quantize, round_scale
from distilbert_tf.arrays import to_array
from distilbert_tf.framework.structure import walk
from distilbert_tf.initialization import serializable

__all__ = ["AXES", "MatrixQuantizer", "check_skip", "is_default", "layers_to_quantize", "quantized_arrays"]

AXES = {keras.layers.Dense: 0, keras.layers.Embedding: -1}
"""The layers that Keras quantizes, and along which axis of its matrix numbers share a scale."""


@serializable
class MatrixQuantizer(AbsMaxQuantizer):
    """Rounds a matrix as the other families do: to scales that 17 bits hold, so that a file gives them back."""

    def __call__(self, x: Any, axis: Any = None, to_numpy: bool = False) -> tuple[Any, Any]:
        """Return the whole numbers, and what Keras divides them by, with the shared axis kept."""
        (shared,) = self.axis
        matrix = to_array(x).astype(np.float32)
        integers, scale = quantize(matrix.T if shared == 0 else matrix)  # (out, in), (out,)
        integers = integers.T if shared == 0 else integers
        divisor = np.expand_dims(np.float32(1) / scale, shared)
        return keras.ops.convert_to_tensor(integers), keras.ops.convert_to_tensor(divisor, dtype=x.dtype)

    @classmethod
    def config(cls, kind: type[keras.layers.Layer]) -> Int8QuantizationConfig:
        """Return what Keras is told for layers of a class."""
        return Int8QuantizationConfig(weight_quantizer=cls(axis=AXES[kind]))


def is_default(config: Any) -> bool:
    """Whether Keras was asked for int8 and nothing else: it makes a config of the mode before it calls a model."""
    is_plain = type(config) is Int8QuantizationConfig and config.weight_quantizer is None
    return is_plain and type(config.activation_quantizer) is AbsMaxQuantizer


def layers_to_quantize(
    model: keras.Model, kind: type[keras.layers.Layer], skip: Iterable[str], everywhere: bool
) -> list[keras.layers.Layer]:
    """Return the layers of a class that have no 8 bits yet.

    Args:
        model: The model.
        kind: Keras' class of the layers.
        skip: Ends of the names of layers that stay as they are.
        everywhere: Whether those outside the blocks are among them.
    """
    ends = tuple(skip) or ("\0",)
    return [
        layer
        for path, layer in walk(model)
        if type(layer) is kind
        and layer.dtype_policy.quantization_mode is None
        and (everywhere or ".layer." in f".{path}")
        and not path.endswith(ends)
    ]


def check_skip(model: keras.Model, skip: Iterable[str]) -> None:
    """Require that there are layers of the names that are left out.

    Raises:
        InputError: There are none.
    """
    names = [path for path, layer in walk(model) if type(layer) in AXES]
    for end in skip:
        if not any(name.endswith(end) for name in names):
            raise InputError(
                f"skip names {end!r}, with which no dense layer's or table's name ends; give names of attributes, as "
                "'lin2' or '0.attention.q_lin'"
            )


def quantized_arrays(layer: keras.layers.Layer) -> tuple[np.ndarray, np.ndarray]:
    """Return the int8 matrix of a layer as Keras has it, and the scales that its rows or columns are multiplied by.

    Raises:
        InputError: The layer was quantized otherwise than by the model's `quantize("int8")`.
    """
    config = getattr(layer, "quantization_config", None)
    is_ours = isinstance(config, Int8QuantizationConfig) and isinstance(config.weight_quantizer, MatrixQuantizer)
    if not is_ours or layer.lora_enabled or layer.variable_dtype != "float32":
        raise InputError(
            f"{layer.path} is quantized in a way that no format of save_pretrained can hold; use "
            "model.quantize('int8') on a model in float32, or model.save('model.keras')"
        )
    name = "kernel" if isinstance(layer, keras.layers.Dense) else "embeddings"
    divisor = to_array(getattr(layer, f"{name}_scale"))
    return to_array(getattr(layer, f"_{name}")), round_scale(np.reciprocal(divisor, dtype=np.float32))
