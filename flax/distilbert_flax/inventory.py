"""What a model holds, as the converter calls it: known weights by their canonical names, all others by their own paths.

A model may be any module tree with a DistilBERT in it: one of the six, one with layers added or replaced, or one with
a head of the user's own.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from distilbert_common import DistilBertConfig
from distilbert_flax.arrays import to_jax
from distilbert_flax.framework.variables import is_shape, shape_of

if TYPE_CHECKING:
    from distilbert_common.load_report import LoadReport
    from distilbert_conversion import Checkpoint

Shape = tuple[int, ...]


def named_variables(model: nnx.Module) -> dict[str, nnx.Variable[Array]]:
    """Return the stored variables by the converter's names: those of the weight table first and in its order."""
    from distilbert_conversion import DIALECTS, names

    bare_name = DIALECTS["flax-msgpack"].bare_name
    named: dict[str, nnx.Variable[Array]] = {}
    for path, variable in model.flat_variables().items():
        name = bare_name(path) or path
        named[path if name in named else name] = variable
    known = [name for name, _ in names(model._table_head or "Model", model.config.n_layers) if name in named]
    return {name: named.pop(name) for name in known} | named


def paths_of(model: nnx.Module) -> dict[str, str]:
    """Return the path in `params` of each stored variable by the converter's name, parts joined by "/"."""
    paths = {id(variable): path for path, variable in model.flat_variables().items()}
    return {name: paths[id(variable)] for name, variable in named_variables(model).items()}


def canonical_shape(name: str, shape: Shape) -> Shape:
    """Return the shape of a weight in PyTorch's layout."""
    from distilbert_conversion import is_transposed

    return shape[::-1] if is_transposed(name) else shape


def in_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Turn a weight from PyTorch's layout into Flax's, or back; a user's own weight stays as it is."""
    from distilbert_conversion import is_transposed

    return array.T if is_transposed(name) else array


def arrays_of(model: nnx.Module) -> dict[str, np.ndarray]:
    """Return the values of all stored variables, by the converter's names and in its layout."""
    variables = named_variables(model)
    return {name: in_layout(name, np.asarray(variable.get_raw_value())) for name, variable in variables.items()}


def load(model: nnx.Module, checkpoint: Checkpoint, dtype: np.dtype, ignore_mismatched_sizes: bool) -> LoadReport:
    """Give a model the weights of a checkpoint; those that it lacks stay as they are.

    Args:
        model: Built for the checkpoint, with shapes or values.
        checkpoint: An open checkpoint.
        dtype: What floating-point weights become; whole numbers keep the model's type.
        ignore_mismatched_sizes: Whether weights of another shape are left as they are.

    Raises:
        CheckpointError: A weight of the backbone is missing, or a weight is misshapen.
    """
    from distilbert_conversion import load_weights

    variables = named_variables(model)

    def assign(name: str, array: np.ndarray) -> None:
        variable_dtype = shape_of(variables[name]).dtype
        target = dtype if jnp.issubdtype(variable_dtype, jnp.floating) else variable_dtype
        variables[name].set_value(to_jax(in_layout(name, array), target))

    expected = {name: canonical_shape(name, shape_of(variable).shape) for name, variable in variables.items()}
    options: Any = {"ignore_mismatched_sizes": ignore_mismatched_sizes, "expected": expected}
    return load_weights(checkpoint, model.config, model._table_head, assign, **options)


def fill(model: nnx.Module, key: Array) -> None:
    """Give the variables that have no values yet their initial ones, each by its place among all."""
    for number, (name, variable) in enumerate(named_variables(model).items()):
        if is_shape(variable):
            values = model.initial_value(name, shape_of(variable), jax.random.fold_in(key, number))
            variable.set_value(values)


def fitting_config(model: nnx.Module) -> DistilBertConfig:
    """Return the config as the model is: its class, its dtype, and its number of layers."""
    dtypes = [shape_of(v).dtype for v in model.flat_variables().values()]
    changed: dict[str, Any] = {
        "architectures": [type(model).__name__.removeprefix("Flax")],
        "dtype": str(next(dtype for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating))),
    }
    transformer = getattr(model.base_model, "transformer", None)
    if transformer is not None and len(transformer.layer) != model.config.n_layers:
        changed["n_layers"] = len(transformer.layer)
    return model.config.updated(**changed)


def own_arguments(cls: type[Any], names: Iterable[str], config: DistilBertConfig) -> set[str]:
    """Return which keywords a model's constructor names and the config has no field for."""
    parameters = inspect.signature(cls.__init__).parameters.keys() - {"self", "config"}
    return {name for name in names if name in parameters and not hasattr(config, name)}


def build(cls: type[Any], config: DistilBertConfig, args: Iterable[Any], options: Mapping[str, Any]) -> Any:
    """Construct a model that is to be filled; a user's constructor is given those options that it takes."""
    parameters = inspect.signature(cls.__init__).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        options = {name: value for name, value in options.items() if name in parameters}
    return cls(config, *args, **options)
