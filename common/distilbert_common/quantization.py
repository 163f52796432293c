"""Weights as whole numbers of 8 bits: what the config and the files of such a model say.

A matrix (out, in) is kept as int8 with a scale for each output, beside it under the name that ends in `_scale`. Scales
have few enough digits that a scale times a whole number is exact in float32: what a file stands for, quantized again,
is that file to the last bit, in whatever dialect it went between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from distilbert_common.errors import InputError

__all__ = [
    "LARGEST",
    "SCALE_SUFFIX",
    "check_mode",
    "dequantize",
    "is_everywhere",
    "is_recipe",
    "quantize",
    "recipe",
    "round_scale",
    "skipped_modules",
]

LARGEST = 127
"""The largest whole number; -128 is not used, so that the range has a middle."""
SCALE_SUFFIX = "_scale"
_METHOD = "distilbert-int8"
_SCALE_BITS = 0xFFFFFF80
"""The bits of a scale in float32 that are used: 17 of its 24 digits, as 127 has 7."""
_OTHER_BITS = np.uint32(~_SCALE_BITS & 0xFFFFFFFF)


def check_mode(mode: str) -> None:
    """Require a way to quantize that there is.

    Raises:
        InputError: There is no such way.
    """
    if mode != "int8":
        raise InputError(f"mode is {mode!r}; expected 'int8'")


def quantize(weight: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return a matrix (out, in) as int8 (out, in), and the scales (out,) by which its rows are multiplied.

    Raises:
        InputError: It holds numbers that are not finite.
    """
    weight = np.asarray(weight, np.float32)
    if not np.isfinite(weight).all():
        raise InputError("a weight holds NaN or infinity, which 8 bits cannot; look where the training went wrong")
    largest = np.abs(weight).max(axis=1)  # (out,)
    scale = np.maximum(largest / np.float32(LARGEST), np.finfo(np.float32).tiny)
    scale = ((scale.view(np.uint32) + _OTHER_BITS) & np.uint32(_SCALE_BITS)).view(np.float32)
    return np.rint(weight / scale[:, None]).astype(np.int8), scale


def round_scale(scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scale of `quantize` next to one that has an error in its last digits, as 1 / (1 / scale) has."""
    return ((scale.view(np.uint32) + (_OTHER_BITS + 1) // 2) & np.uint32(_SCALE_BITS)).view(np.float32)


def dequantize(integers: NDArray[np.int8], scale: NDArray[Any]) -> NDArray[np.float32]:
    """Return the matrix (out, in) that int8 (out, in) and scales (out,) stand for."""
    return integers.astype(np.float32) * np.asarray(scale, np.float32)[:, None]


def recipe(skip: Iterable[str] = (), everywhere: bool = False) -> dict[str, Any]:
    """Return what the config of a quantized model says.

    Args:
        skip: Ends of the names of layers that stay as they are.
        everywhere: Whether tables and heads have 8 bits too, as in Keras, and not the layers of the blocks alone.
    """
    return {"quant_method": _METHOD, "skip": sorted(skip), **({"everywhere": True} if everywhere else {})}


def is_recipe(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a `quantization_config` is one of `recipe`, and not another library's."""
    return isinstance(value, Mapping) and value.get("quant_method") == _METHOD


def skipped_modules(config: object) -> tuple[str, ...] | None:
    """Return which layers of a quantized model are not, by its config; None where the model is not quantized."""
    value = getattr(config, "quantization_config", None)
    return tuple(value.get("skip", ())) if is_recipe(value) else None


def is_everywhere(config: object) -> bool:
    """Whether the tables and heads of a quantized model have 8 bits too, by its config."""
    value = getattr(config, "quantization_config", None)
    return is_recipe(value) and bool(value.get("everywhere", False))
