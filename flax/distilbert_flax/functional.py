"""The functional calling convention of transformers' Flax models, on top of an NNX module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array
from jax.typing import DTypeLike

from distilbert_common.errors import InputError
from distilbert_flax.arrays import as_array
from distilbert_flax.compiled import call

if TYPE_CHECKING:
    from distilbert_common import DistilBertConfig

STORED = nnx.Not((nnx.RngState, nnx.Intermediate, nnx.Cache, nnx.Perturbation))
"""The variables that are stored: all but those of random streams and what layers leave for a moment."""

Params = Mapping[str, Any]
"""Weights as a nested mapping, in the names of `flax_model.msgpack`."""


class FunctionalModule(nnx.Module):
    """A module whose variables can be read, set and replaced for one call as `params`, a nested dict.

    Attributes:
        padding_is_unseen: Whether compiled calls may add padding to what this class' `forward` is given and take it
            away; a subclass with a `forward` of its own has to say so itself.
    """

    config: DistilBertConfig
    _table_head: ClassVar[str | None] = None
    padding_is_unseen: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls):  # what its base said of another forward does not hold for this one
            for name in ("padding_is_unseen", "check_labels"):
                if name not in vars(cls):
                    setattr(cls, name, vars(FunctionalModule)[name])

    def __call__(
        self,
        *args: Any,
        params: Params | None = None,
        dropout_rng: Array | None = None,
        train: bool | None = None,
        jit: bool = True,
        unpad: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Run `forward`, whose arguments these are, and return what it returns; compiled, once for each shape.

        Args:
            *args: As `forward`.
            params: The parameters to use instead of the model's own; the call is then a pure function of them.
            dropout_rng: The key of this call's dropout, instead of the model's own random streams.
            train: Whether dropout is active; None for the mode that `train()` and `eval()` set, at first eval.
            jit: Whether to compile; see `distilbert_flax.compiled`. Code that is being traced goes into that trace.
            unpad: Whether a compiled call may leave padding out where that pays, without labels and outside training;
                its hidden states are 0 then. False computes them as transformers does.
            **kwargs: As `forward`.

        Raises:
            InputError: `params` do not fit the model, or there are none, or dropout has no key.
        """
        args, kwargs = tuple(map(as_array, args)), {name: as_array(value) for name, value in kwargs.items()}
        if jit:
            return call(self, args, kwargs, params, dropout_rng, train, unpad)
        return self._bound(params, dropout_rng, train).forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute; each head has its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; use the bare model or one with a head")

    def check_labels(self, output: Any, inputs: Mapping[str, Any]) -> None:
        """Refuse labels that are no classes, before a compiled call; each head has its own.

        Args:
            output: What `forward` will return, with shapes in the place of arrays.
            inputs: The arrays that it is given.

        Raises:
            InputError: A label is neither a class nor ignored.
        """

    def _bound(
        self, params: Params | None, dropout_rng: Array | None, train: bool | None, *, pure: bool = False
    ) -> Self:
        """Return the model with other parameters, dropout key or mode; the model itself stays as it is.

        Without `params` the result shares the model's variables, so that its random streams move on; `pure` says that
        they must not, as the variables stand for params already.
        """
        pure = pure or params is not None
        if params is None and self.is_empty:
            raise InputError("the model holds no parameters (_do_init=False); give params, e.g. model(ids, params=…)")
        if not pure and dropout_rng is None and train is None:
            return self
        model = nnx.clone(self, variables=params is not None)
        if params is not None:
            model.params = params
        dropouts = [module for _, module in nnx.iter_modules(model) if isinstance(module, nnx.Dropout)]
        for place, dropout in enumerate(dropouts):
            if train is not None:
                dropout.deterministic = not train
            if dropout_rng is not None:
                dropout.rngs = nnx.RngStream(jax.random.fold_in(dropout_rng, place), tag="dropout")
        dropping = any(dropout.rate > 0 and not dropout.deterministic for dropout in dropouts)
        if pure and dropout_rng is None and dropping:
            raise InputError("dropout is active in a call with params; give dropout_rng, e.g. jax.random.key(0)")
        return model

    def flat_variables(self, kind: Any = STORED) -> dict[str, nnx.Variable[Array]]:
        """Return the stored variables by their path in `flax_model.msgpack`, parts joined by "/"."""
        found = nnx.to_flat_state(nnx.state(self, kind))
        return {"/".join(map(str, path)): variable for path, variable in found}

    @property
    def is_empty(self) -> bool:
        """Whether the model holds shapes in the place of parameters."""
        return any(map(is_shape, self.flat_variables().values()))

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as a nested dict in the names of `flax_model.msgpack`; setting them replaces all.

        Raises:
            InputError: There are none; or, when set, names or shapes are not the model's.
        """
        if self.is_empty:
            raise InputError("the model holds no parameters (_do_init=False); use those that you keep")
        return unflatten_dict({p: v.get_raw_value() for p, v in self.flat_variables().items()}, sep="/")

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "params":
            super().__setattr__(name, value)
            return
        variables = self.flat_variables()  # params are no attribute of the module, but its variables' values
        for path, given in self.flat_params(value, variables).items():
            variables[path].set_value(given)

    @property
    def params_shape_tree(self) -> dict[str, Any]:
        """Shapes and dtypes of the parameters, nested as `params`."""
        return unflatten_dict({path: shape_of(v) for path, v in self.flat_variables().items()}, sep="/")

    @property
    def trainable_mask(self) -> dict[str, Any]:
        """True for what is trained: not for a frozen position table, nor for statistics; nested as `params`.

        Frozen parameters have no gradient, yet weight decay would change them: `optax.adamw(rate, mask=this)`.
        """
        return unflatten_dict({p: isinstance(v, nnx.Param) for p, v in self.flat_variables().items()}, sep="/")

    def flat_params(
        self, params: Params, variables: Mapping[str, nnx.Variable[Array]], *, complete: bool = True
    ) -> dict[str, Any]:
        """Return params by path, parts joined by "/".

        Args:
            params: The nested mapping.
            variables: The variables that it must fit.
            complete: Whether each variable must be given a value.

        Raises:
            InputError: Names or shapes are not the model's; the message lists them.
        """
        given = flatten_dict(params, sep="/")
        shapes = {path: (np.shape(given[path]), shape_of(variables[path]).shape) for path in given.keys() & variables}
        faults = [f"{path} is unknown" for path in given.keys() - variables.keys()]
        faults += [f"{path} is missing" for path in variables.keys() - given.keys() if complete]
        faults += [
            f"{path} is {found}, expected {wanted}" for path, (found, wanted) in shapes.items() if found != wanted
        ]
        if faults:
            raise InputError(f"params do not fit {type(self).__name__}: {'; '.join(sorted(faults))}")
        return given

    def to_fp32(self, params: Params, mask: Params | None = None) -> dict[str, Any]:
        """Return params as float32; those whose `mask` is False stay as they are."""
        return cast(params, jnp.float32, mask)

    def to_fp16(self, params: Params, mask: Params | None = None) -> dict[str, Any]:
        """Return params as float16; those whose `mask` is False stay as they are."""
        return cast(params, jnp.float16, mask)

    def to_bf16(self, params: Params, mask: Params | None = None) -> dict[str, Any]:
        """Return params as bfloat16; those whose `mask` is False stay as they are."""
        return cast(params, jnp.bfloat16, mask)


def cast(params: Params, dtype: DTypeLike, mask: Params | None) -> dict[str, Any]:
    """Return floating-point params in another dtype, where the mask is True or there is none."""

    def one(value: Array, chosen: bool = True) -> Array:
        return value.astype(dtype) if chosen and jnp.issubdtype(value.dtype, jnp.floating) else value

    return jax.tree.map(one, params) if mask is None else jax.tree.map(one, params, mask)


def is_shape(variable: nnx.Variable[Array]) -> bool:
    """Whether a variable has a shape and a dtype only."""
    return isinstance(variable.get_raw_value(), jax.ShapeDtypeStruct)


def shape_of(variable: nnx.Variable[Array]) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of a variable, with values or without."""
    value = variable.get_raw_value()
    return jax.ShapeDtypeStruct(value.shape, value.dtype)
