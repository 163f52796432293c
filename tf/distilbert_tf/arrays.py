"""Tensors of any Keras backend, their dtypes, NumPy arrays, and the outputs as trees."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import keras
import ml_dtypes
import numpy as np

from distilbert_common import OUTPUT_TYPES, ModelOutput
from distilbert_common.errors import InputError
from distilbert_common.loading_options import sole_value

__all__ = ["Tensor", "as_policy", "lowest", "register_output", "to_array", "with_dense_gradient"]

Tensor: TypeAlias = Any
"""A tensor of Keras' backend, a `keras.KerasTensor` while a model is composed, or, given to a model, an array."""


def to_array(variable: keras.Variable) -> np.ndarray:
    """Return the variable's values in its own dtype; PyTorch has no NumPy form of bfloat16 and goes by float32."""
    tensor = keras.ops.cast(variable, variable.dtype)  # NumPy warns of TensorFlow's variables, not of its tensors
    array: np.ndarray = keras.ops.convert_to_numpy(tensor)
    return array.astype(ml_dtypes.bfloat16) if variable.dtype == "bfloat16" else array


def lowest(dtype: Any) -> float:
    """Return the lowest finite value of a floating dtype."""
    return float(ml_dtypes.finfo(keras.backend.standardize_dtype(dtype)).min)


def as_policy(dtype: Any, default: str) -> keras.DTypePolicy:
    """Return the dtype policy of a name such as "float16" or "mixed_bfloat16", a dtype or a policy.

    None and "auto" give Keras' global policy where its variables have the dtype `default`, or else that dtype's.

    Raises:
        ConfigError: A mapping has no dtype for the model itself.
        InputError: The dtype is no floating-point one that Keras knows.
    """
    dtype = sole_value("dtype", dtype)
    if dtype is None or dtype == "auto":
        policy = keras.config.dtype_policy()
        return policy if policy.variable_dtype == default else keras.DTypePolicy(default)
    try:
        known = isinstance(dtype, (str, keras.DTypePolicy))
        policy = keras.dtype_policies.get(dtype if known else keras.backend.standardize_dtype(dtype))
    except (TypeError, ValueError):
        policy = None
    if policy is None or not keras.backend.is_float_dtype(policy.compute_dtype):
        raise InputError(f"dtype is {dtype!r}; expected a floating-point dtype or policy such as 'mixed_bfloat16'")
    return policy


def with_dense_gradient(table: Tensor) -> Tensor:
    """Return a table whose gradient is dense, as in PyTorch and JAX.

    TensorFlow's gradient of a lookup holds the rows looked up only, and Keras' optimizers then leave the momentum of
    all other rows as it is: the same optimizer would train differently from the other frameworks. The gradient of a
    reshape is dense.
    """
    return keras.ops.reshape(table, table.shape) if keras.backend.backend() == "tensorflow" else table


def register_output(output_type: type[ModelOutput]) -> None:
    """Make an output type a tree with the fields that it has as children, for Keras and for its backend."""

    def flatten(output: ModelOutput) -> tuple[list[Any], tuple[str, ...]]:
        return list(output.values()), tuple(output)

    def unflatten(names: Iterable[str], children: Iterable[Any]) -> ModelOutput:
        output = output_type()  # any object may stand in a tree: nothing may look at the values
        for name, child in zip(names, children, strict=True):
            output[name] = child
        return output

    for register in _REGISTER[keras.backend.backend()]:
        with contextlib.suppress(ValueError):  # another family, or an earlier import, has done it
            register(output_type, flatten, unflatten)


Flatten: TypeAlias = Callable[[ModelOutput], tuple[list[Any], tuple[str, ...]]]
Unflatten: TypeAlias = Callable[[Iterable[str], Iterable[Any]], ModelOutput]


def _register_keras(output_type: type[ModelOutput], flatten: Flatten, unflatten: Unflatten) -> None:
    import optree

    register: Any = optree.register_pytree_node  # whose types know of no mapping with names
    register(output_type, flatten, unflatten, namespace="keras")


def _register_jax(output_type: type[ModelOutput], flatten: Flatten, unflatten: Unflatten) -> None:
    import jax

    jax.tree_util.register_pytree_node(output_type, flatten, unflatten)


def _register_torch(output_type: type[ModelOutput], flatten: Flatten, unflatten: Unflatten) -> None:
    from torch.utils import _pytree

    _pytree.register_pytree_node(
        output_type,
        flatten,
        lambda children, names: unflatten(names, children),
        serialized_type_name=f"distilbert.{output_type.__name__}",
    )


_REGISTER = {
    "tensorflow": (_register_keras,),
    "jax": (_register_keras, _register_jax),
    "torch": (_register_torch,),
}
"""Keras takes trees from optree, on PyTorch from PyTorch; TensorFlow takes any mapping for a tree."""


for each_type in OUTPUT_TYPES:
    register_output(each_type)
