"""The functional calling convention of transformers' Flax models, on top of an NNX module."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar

import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import unflatten_dict
from jax import Array

from distilbert_common.constants import is_fast
from distilbert_common.errors import InputError
from distilbert_flax.arrays import as_array
from distilbert_flax.fast.compiled import call
from distilbert_flax.framework.changes import Module
from distilbert_flax.framework.variables import (
    STORED,
    Params,
    bind,
    cast,
    flat_params,
    flat_variables,
    is_shape,
    shape_of,
)

if TYPE_CHECKING:
    from distilbert_common import DistilBertConfig

__all__ = ["FunctionalModule"]


class FunctionalModule(Module):
    """A module whose variables can be read, set and replaced for one call as `params`, a nested dict.

    Attributes:
        padding_is_unseen: Whether compiled calls may add padding to what this class' `forward` is given and take it
            away; a subclass with a `forward` of its own has to say so itself.
        takes_segments: Whether the number of segments sets the shape of an output; None where a subclass with a
            `forward` of its own does not say.
    """

    config: DistilBertConfig
    _table_head: ClassVar[str | None] = None
    padding_is_unseen: ClassVar[bool] = False
    takes_segments: ClassVar[bool | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls):  # what its base said of another forward does not hold for this one
            for name in ("padding_is_unseen", "takes_segments", "check_labels", "reads"):
                if name not in vars(cls):
                    setattr(cls, name, vars(FunctionalModule)[name])
            if "__call__" not in vars(cls):
                cls.__call__ = with_arguments_of(cls.forward, cls.__call__)  # type: ignore[method-assign]

    def __call__(
        self,
        *args: Any,
        params: Params | None = None,
        dropout_rng: Array | None = None,
        train: bool | None = None,
        jit: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Run `forward`, whose arguments these are, and return what it returns; compiled, once for each shape.

        Args:
            *args: As `forward`.
            params: The parameters to use instead of the model's own; the call is then a pure function of them.
            dropout_rng: The key of this call's dropout, instead of the model's own random streams.
            train: Whether dropout is active; None for the mode that `train()` and `eval()` set, at first eval.
            jit: Whether to compile; see `fast.compiled`. Code that is being traced goes into that trace.
            **kwargs: As `forward`.

        Raises:
            InputError: `params` do not fit the model, or there are none, or dropout has no key.
        """
        args, kwargs = tuple(map(as_array, args)), {name: as_array(value) for name, value in kwargs.items()}
        if jit and is_fast():
            return call(self, args, kwargs, params, dropout_rng, train)
        return bind(self, params, dropout_rng, train).forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute; each head has its own."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; use the bare model or one with a head")

    def check_labels(self, inputs: Mapping[str, Any]) -> bool:
        """Refuse labels that are no classes, before a compiled call; each head has its own.

        Args:
            inputs: The arrays that `forward` is given, by name.

        Returns:
            Whether that could be told: not where the head's last layer is of a class that nobody knows here.

        Raises:
            InputError: A label is neither a class nor ignored.
        """
        return True

    def reads(self, inputs: Mapping[str, Any]) -> np.ndarray | None:
        """Tell where `forward` uses hidden states, without labels: bool (batch or 1, seq); None for tokens only."""
        return None

    def flat_variables(self, kind: Any = STORED) -> dict[str, nnx.Variable[Array]]:
        """Return the stored variables by their path in `flax_model.msgpack`, parts joined by "/"."""
        return flat_variables(self, kind)

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
        return nested({p: v.get_raw_value() for p, v in self.flat_variables().items()})

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "params":
            super().__setattr__(name, value)
            return
        variables = self.flat_variables()  # params are no attribute of the module, but its variables' values
        for path, new_value in flat_params(self, value, variables).items():
            variables[path].set_value(new_value)

    @property
    def params_shape_tree(self) -> dict[str, Any]:
        """Shapes and dtypes of the parameters, nested as `params`."""
        return nested({path: shape_of(v) for path, v in self.flat_variables().items()})

    @property
    def trainable_mask(self) -> dict[str, Any]:
        """True for what is trained: not for a frozen position table, nor for statistics; nested as `params`.

        Frozen parameters have no gradient, yet weight decay would change them: `optax.adamw(rate, mask=this)`.
        """
        return nested({p: isinstance(v, nnx.Param) for p, v in self.flat_variables().items()})

    def to_fp32(self, params: Params, mask: Params | None = None) -> dict[str, Any]:
        """Return params as float32; those whose `mask` is False stay as they are."""
        return cast(params, jnp.float32, mask)

    def to_fp16(self, params: Params, mask: Params | None = None) -> dict[str, Any]:
        """Return params as float16; those whose `mask` is False stay as they are."""
        return cast(params, jnp.float16, mask)

    def to_bf16(self, params: Params, mask: Params | None = None) -> dict[str, Any]:
        """Return params as bfloat16; those whose `mask` is False stay as they are."""
        return cast(params, jnp.bfloat16, mask)


def with_arguments_of(forward: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose signature shows the arguments of `forward` beside its own."""

    @wraps(function)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    inner = list(inspect.signature(forward).parameters.values())
    added = [p for p in inspect.signature(FunctionalModule.__call__).parameters.values() if p.kind is p.KEYWORD_ONLY]
    added = [p for p in added if p.name not in {q.name for q in inner}]
    last = [inner.pop()] if inner[-1].kind is inspect.Parameter.VAR_KEYWORD else []
    wrapper.__signature__ = inspect.Signature([*inner, *added, *last])  # type: ignore[attr-defined]
    return wrapper


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return a nested dict of one whose keys are paths."""
    tree: dict[str, Any] = unflatten_dict(flat, sep="/")
    return tree
