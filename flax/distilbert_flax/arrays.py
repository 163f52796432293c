"""NumPy arrays to JAX arrays and back, dtypes by name, and model outputs as JAX trees."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from distilbert_common import OUTPUT_TYPES, ModelOutput
from distilbert_common.errors import InputError
from distilbert_common.loading_options import sole_value


def to_jax(array: np.ndarray, dtype: DTypeLike) -> Array:
    """Copy an array, which may be a read-only view of a file in any order, into a new JAX array of the given dtype."""
    if array.dtype != dtype:
        with np.errstate(over="ignore"):  # as JAX does
            return jax.device_put(array.astype(dtype))
    # `jnp.array` would compile a program for each shape. Until the copy is done, JAX holds the array.
    copied = jax.device_put(array).block_until_ready()
    (device,) = copied.devices()
    if device.platform == "cpu" and copied.unsafe_buffer_pointer() == array.ctypes.data:
        return jax.device_put(array.copy())  # JAX shows memory that suits it as it is: not the file's, then
    return copied


def as_array(value: Any) -> Any:
    """Turn a list into an array; anything else, such as a layout, comes back as it is."""
    return np.asarray(value) if type(value) in (list, tuple) else value


def as_dtype(dtype: DTypeLike | None, default: str) -> np.dtype:
    """Return the JAX dtype of a name such as "float16"; of `default` when None or "auto".

    float64 is float32 unless JAX is told to use 64 bits, as everywhere in JAX.

    Raises:
        ConfigError: A mapping has no dtype for the model itself.
        InputError: The name is not a floating-point dtype of JAX.
    """
    dtype = sole_value("dtype", dtype)
    try:
        resolved = jnp.dtype(default if dtype is None or dtype == "auto" else dtype)
    except TypeError:
        resolved = None
    if resolved is None or not jnp.issubdtype(resolved, jnp.floating):
        raise InputError(f"dtype is {dtype!r}; expected a floating-point dtype such as 'float32' or jnp.bfloat16")
    return jax.dtypes.canonicalize_dtype(resolved)


def register_output(output_type: type[ModelOutput]) -> None:
    """Make an output type a JAX tree with its fields as children, so that it passes `jax.jit` and its kin."""
    names = tuple(output_type.__dataclass_fields__)  # type: ignore[attr-defined]
    keys = tuple(jax.tree_util.GetAttrKey(name) for name in names)

    def flatten(output: ModelOutput) -> tuple[tuple[Any, ...], None]:
        return tuple(getattr(output, name) for name in names), None

    def flatten_with_keys(output: ModelOutput) -> tuple[tuple[tuple[Any, Any], ...], None]:
        return tuple(zip(keys, flatten(output)[0], strict=True)), None

    def unflatten(_: None, children: Sequence[Any]) -> ModelOutput:
        output = output_type.__new__(output_type)  # JAX puts any object into a tree: nothing may look at the values
        vars(output).update(zip(names, children, strict=True))
        for name, child in zip(names, children, strict=True):
            if child is not None:
                OrderedDict.__setitem__(output, name, child)
        return output

    with contextlib.suppress(ValueError):  # Keras on its JAX backend has done it
        jax.tree_util.register_pytree_with_keys(output_type, flatten_with_keys, unflatten, flatten)


for each_type in OUTPUT_TYPES:
    register_output(each_type)
