"""A quantized checkpoint as the weights that it stands for, so that every framework and every dialect takes it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from distilbert_common.quantization import SCALE_SUFFIX, dequantize
from distilbert_conversion.weights.lazy import Array, LazyTensor

__all__ = ["dequantized"]


def dequantized(file_tensors: Mapping[str, LazyTensor]) -> tuple[Mapping[str, LazyTensor], tuple[str, ...]]:
    """Return tensors with each int8 matrix and its scales in one, in float32, and what was done in words."""
    scales = {
        f"{name}{SCALE_SUFFIX}" for name, tensor in file_tensors.items() if tensor.dtype == np.int8
    } & file_tensors.keys()
    if not scales:
        return file_tensors, ()
    tensors = {
        name: _product(tensor, file_tensors[f"{name}{SCALE_SUFFIX}"]) if f"{name}{SCALE_SUFFIX}" in scales else tensor
        for name, tensor in file_tensors.items()
        if name not in scales
    }
    return tensors, (f"{len(scales)} weights of 8 bits are read as the float32 numbers that they stand for",)


def _product(integers: LazyTensor, scale: LazyTensor) -> LazyTensor:
    def load() -> Array:
        return dequantize(integers.read(), scale.read())

    return LazyTensor(integers.shape, np.dtype(np.float32), load, integers.name)
