"""The variables of a module as `params`, a nested dict, and modules bound to others for one call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict
from jax import Array
from jax.typing import DTypeLike

from distilbert_common.errors import InputError

__all__ = ["STORED", "Params", "bind", "cast", "flat_params", "flat_variables", "is_shape", "shape_of"]

M = TypeVar("M", bound=nnx.Module)

STORED = nnx.Not((nnx.RngState, nnx.Intermediate, nnx.Cache, nnx.Perturbation))
"""The variables that are stored: all but those of random streams and what layers leave for a moment."""

Params = Mapping[str, Any]
"""Weights as a nested mapping, in the names of `flax_model.msgpack`."""


def flat_variables(model: nnx.Module, kind: Any = STORED) -> dict[str, nnx.Variable[Array]]:
    """Return a module's stored variables by their path in `flax_model.msgpack`, parts joined by "/"."""
    return {"/".join(map(str, path)): variable for path, variable in nnx.to_flat_state(nnx.state(model, kind))}


def flat_params(
    model: nnx.Module, params: Params, variables: Mapping[str, nnx.Variable[Array]], *, complete: bool = True
) -> dict[str, Any]:
    """Return params by path, parts joined by "/".

    Args:
        model: The module that they are for, which an error names.
        params: The nested mapping.
        variables: The variables that it must fit.
        complete: Whether each variable must be given a value.

    Raises:
        InputError: Names or shapes are not the model's; the message lists them.
    """
    flat: dict[str, Any] = flatten_dict(params, sep="/")
    shapes = {path: (np.shape(flat[path]), shape_of(variables[path]).shape) for path in flat.keys() & variables}
    faults = [f"{path} is unknown" for path in flat.keys() - variables.keys()]
    faults += [f"{path} is missing" for path in variables.keys() - flat.keys() if complete]
    faults += [
        f"{path} is {shape}, expected {expected}" for path, (shape, expected) in shapes.items() if shape != expected
    ]
    if faults:
        raise InputError(f"params do not fit {type(model).__name__}: {'; '.join(sorted(faults))}")
    return flat


def bind(model: M, params: Params | None, dropout_rng: Array | None, train: bool | None, *, pure: bool = False) -> M:
    """Return a model with other parameters, dropout key or mode; the model itself stays as it is.

    Args:
        model: The model.
        params: The parameters to use; without them the result shares the model's variables, so that its random
            streams move on.
        dropout_rng: The key of dropout instead of the model's own streams.
        train: Whether dropout is active; None for the model's mode.
        pure: Whether the random streams must stand still, as the variables stand for params already.

    Raises:
        InputError: `params` do not fit the model, or there are none, or dropout has no key.
    """
    pure = pure or params is not None
    if params is None and any(map(is_shape, flat_variables(model).values())):
        raise InputError("the model holds no parameters (_do_init=False); give params, e.g. model(ids, params=…)")
    if not pure and dropout_rng is None and train is None:
        return model
    model = nnx.clone(model, variables=params is not None)
    if params is not None:
        variables = flat_variables(model)
        for path, value in flat_params(model, params, variables).items():
            variables[path].set_value(value)
    dropouts = [module for _, module in nnx.iter_modules(model) if isinstance(module, nnx.Dropout)]
    for number, dropout in enumerate(dropouts):
        if train is not None:
            dropout.deterministic = not train
        if dropout_rng is not None:
            dropout.rngs = nnx.RngStream(jax.random.fold_in(dropout_rng, number), tag="dropout")
    dropping = any(dropout.rate > 0 and not dropout.deterministic for dropout in dropouts)
    if pure and dropout_rng is None and dropping:
        raise InputError("dropout is active in a call with params; give dropout_rng, e.g. jax.random.key(0)")
    return model


def cast(params: Params, dtype: DTypeLike, mask: Params | None) -> dict[str, Any]:
    """Return floating-point params in another dtype, where the mask is True or there is none."""

    def one(value: Array, chosen: bool = True) -> Array:
        return value.astype(dtype) if chosen and jnp.issubdtype(value.dtype, jnp.floating) else value

    tree: dict[str, Any] = jax.tree.map(one, params) if mask is None else jax.tree.map(one, params, mask)
    return tree


def is_shape(variable: nnx.Variable[Array]) -> bool:
    """Whether a variable has a shape and a dtype only."""
    return isinstance(variable.get_raw_value(), jax.ShapeDtypeStruct)


def shape_of(variable: nnx.Variable[Array]) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of a variable, with values or without."""
    value = variable.get_raw_value()
    return jax.ShapeDtypeStruct(value.shape, value.dtype)
