"""Lists and numpy arrays to the tensors of a framework, which is imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from distilbert_common.errors import MissingFrameworkError, TokenizerError

__all__ = ["FRAMEWORKS", "Framework", "as_lists", "import_framework", "tensor_type_of", "to_tensor"]


class Framework(NamedTuple):
    """How to get at a framework, and how it makes a tensor of an array."""

    module: str
    extra: str
    tensor_type: str
    make: Callable[[Any, np.ndarray], Any]


def _as_int32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int32) if array.dtype == np.int64 else array


FRAMEWORKS = {
    "np": Framework("numpy", "", "ndarray", lambda numpy, array: array),
    "pt": Framework("torch", "pt", "Tensor", lambda torch, array: torch.from_numpy(array)),
    "tf": Framework("tensorflow", "tf", "Tensor", lambda tf, array: tf.constant(_as_int32(array))),
    "jax": Framework("jax.numpy", "flax", "ndarray", lambda jnp, array: jnp.asarray(_as_int32(array))),
}
"""The values of `return_tensors`. Whole numbers become int64, in TensorFlow and JAX int32, as in transformers."""


def _framework(tensor_type: Any) -> Framework:
    """Return the framework that a value of `return_tensors` names, given as a string or an enumeration's member."""
    name = tensor_type.value if isinstance(tensor_type, Enum) else tensor_type
    if name not in FRAMEWORKS:
        raise TokenizerError(f"return_tensors is {name!r}; expected None or one of {', '.join(FRAMEWORKS)}")
    return FRAMEWORKS[name]


def import_framework(tensor_type: Any) -> Any:
    """Import the framework that a value of `return_tensors` names.

    Raises:
        TokenizerError: There is no such value.
        MissingFrameworkError: The framework is not installed.
    """
    framework = _framework(tensor_type)
    try:
        return importlib.import_module(framework.module)
    except ImportError as error:
        package = framework.module.partition(".")[0]
        raise MissingFrameworkError(f"return_tensors={tensor_type!r}", package, framework.extra) from error


def to_tensor(name: str, value: Any, tensor_type: Any) -> Any:
    """Turn nested lists, or any array, into a tensor.

    Args:
        name: What `value` is called, for the error message.
        value: Numbers in nested lists of equal lengths, an array or a tensor.
        tensor_type: A key of `FRAMEWORKS`.

    Returns:
        A tensor of the framework; `value` itself if it is one.

    Raises:
        TokenizerError: The lists have different lengths, or hold something that is not a number.
        MissingFrameworkError: The framework is not installed.
    """
    module = import_framework(tensor_type)
    framework = _framework(tensor_type)
    if isinstance(value, getattr(module, framework.tensor_type)):
        return value
    try:
        array = np.asarray(value)
        if array.size == 0:
            array = array.astype(np.int64)
        if array.dtype == object or array.dtype.kind in "US":
            raise ValueError("its items are not numbers")
    except ValueError as error:
        raise TokenizerError(
            f"{name!r} cannot become a tensor: rows of different lengths, or items that are not numbers; pass "
            "padding=True (and truncation=True), or leave return_tensors out"
        ) from error
    return framework.make(module, array)


def as_lists(ids: Any) -> Any:
    """Return ids as whole numbers or nested lists of them, from whatever holds them."""
    if hasattr(ids, "numpy") and not hasattr(ids, "tolist"):  # a TensorFlow tensor
        ids = ids.numpy()
    if hasattr(ids, "tolist"):
        return ids.tolist()
    if isinstance(ids, Iterable) and not isinstance(ids, (str, bytes, Mapping)):
        return [as_lists(item) for item in ids]
    return ids


def tensor_type_of(value: Any) -> str | None:
    """Return the value of `return_tensors` that an array or tensor belongs to, or None."""
    package = type(value).__module__.partition(".")[0]
    return {"numpy": "np", "torch": "pt", "tensorflow": "tf", "jax": "jax", "jaxlib": "jax"}.get(package)
