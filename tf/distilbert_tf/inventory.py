"""What a model holds, as the converter calls it: known weights by their canonical names, all others by their own.

A model may be any tree of layers with a DistilBERT in it: one of the six, one with layers added or replaced, or one
with a head of the user's own.
"""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from distilbert_common.errors import InputError
from distilbert_common.quantization import SCALE_SUFFIX
from distilbert_tf.arrays import to_array
from distilbert_tf.framework.structure import named_variables, walk

LEAVES = {"kernel": "weight", "embeddings": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}
"""What PyTorch calls the variables of Keras' layers."""

SCALED, SCALES = ("kernel", "embeddings"), ("kernel_scale", "embeddings_scale")
"""What a layer of 8 bits has instead of a matrix: whole numbers, and what they are divided by."""
NOT_STORED = ("seed_generator_state", "lora_kernel_a", "lora_kernel_b", "lora_embeddings_a", "lora_embeddings_b")
"""Variables that are no weights of their own: states of dropouts, and what is stored merged into a kernel."""


def backbone_prefix(model: keras.Model) -> str:
    """Return what stands before the backbone's names, as "distilbert."."""
    backbone = model.base_model
    return next((f"{path}." for path, layer in walk(model) if layer is backbone), "")


def named_weights(model: keras.Model) -> Iterator[tuple[str, keras.layers.Layer, keras.Variable]]:
    """Yield each weight with the converter's name and the layer that has it: known ones in the weight table's order.

    Raises:
        InputError: Two weights have one name.
    """
    from distilbert_conversion import expected, is_known

    prefix, named = backbone_prefix(model), {}
    for path, layer in walk(model):
        for own_name, variable in named_variables(layer):
            if variable.name in NOT_STORED:
                continue
            known = f"{path}.{LEAVES.get(own_name, own_name)}".removeprefix(prefix)
            name = known if is_known(known) else f"{path}.{own_name}".removeprefix(".")
            if name in named:
                raise InputError(f"two weights are called {name!r}; hold each as an attribute of its layer")
            named[name] = layer, variable
    table = [name for name in expected(model.config, model.head or "Model") if name in named]
    for name in [*table, *sorted(named.keys() - set(table))]:
        yield name, *named[name]


def shapes(model: keras.Model) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight by its name, of known ones as in PyTorch."""
    return {
        name: tuple(reversed(variable.shape)) if is_transposed(name) else tuple(variable.shape)
        for name, _, variable in named_weights(model)
    }


def arrays_to_save(model: keras.Model) -> dict[str, np.ndarray]:
    """Return the values of each weight by its name, of known ones as in PyTorch; LoRA's are merged in.

    Raises:
        InputError: A layer is quantized otherwise than by the model's `quantize("int8")`.
    """
    from distilbert_tf.quantization import quantized_arrays

    arrays = {}
    for name, layer, variable in named_weights(model):
        if layer.dtype_policy.quantization_mode is not None and variable.name in SCALES:
            continue  # with its matrix
        if layer.dtype_policy.quantization_mode is not None and variable.name in SCALED:
            integers, scale = quantized_arrays(layer)
            path = next(path for path, part in walk(model) if part is layer)
            arrays[name] = integers.T if is_transposed(name) else integers
            arrays[f"{path}.weight{SCALE_SUFFIX}"] = scale
            continue
        merged = getattr(layer, "lora_enabled", False) and variable.name in ("kernel", "embeddings")
        array = keras.ops.convert_to_numpy(getattr(layer, variable.name)) if merged else to_array(variable)
        arrays[name] = array.T if is_transposed(name) else array
    return arrays


def in_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Turn a weight from PyTorch's layout into Keras', or back; a user's own weight stays as it is."""
    return array.T if is_transposed(name) else array


def is_transposed(name: str) -> bool:
    """Whether Keras has a known weight transposed."""
    from distilbert_conversion import is_known, is_transposed

    return is_known(name) and is_transposed(name)
