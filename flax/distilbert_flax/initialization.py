"""How weights start: each parameter's initial value, by its name."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from distilbert_common.initialization import init_scheme, sinusoidal_table
from distilbert_flax.framework.module_utils import ModuleUtils
from distilbert_flax.framework.variables import Params, flat_params, shape_of
from distilbert_flax.inventory import fill
from distilbert_flax.layers import LayerFactory

__all__ = ["InitializedModel"]


class InitializedModel(ModuleUtils):
    """How a model's weights start."""

    def post_init(self, make: LayerFactory) -> None:
        """Give all parameters their initial values, where wanted; the last line of every constructor."""
        if make.fill:
            fill(self, make.rngs.params())

    def initial_value(self, name: str, like: jax.ShapeDtypeStruct, key: Array) -> Array:
        """Return the initial value of one parameter, by `init_scheme`; names are the converter's."""
        kind = "ones" if name.endswith("/scale") else init_scheme(name.replace("/", "."), self.config)
        if kind in ("zeros", "ones"):
            return jnp.full(like.shape, float(kind == "ones"), like.dtype)
        if kind == "sinusoidal":
            return jnp.asarray(sinusoidal_table(*like.shape), like.dtype)
        values = self.config.initializer_range * jax.random.normal(key, like.shape)
        if kind == "word_table" and self.config.pad_token_id is not None:
            values = values.at[self.config.pad_token_id].set(0)
        return values.astype(like.dtype)

    def init_weights(
        self, rng: Array, input_shape: tuple[int, ...] = (1, 1), params: Params | None = None
    ) -> dict[str, Any]:
        """Return a tree of initial parameters; the model's own stay as they are.

        Args:
            rng: The key.
            input_shape: Plays no part, as the config gives all shapes; transformers' callers give it.
            params: Parameters to keep: only what is missing is new.
        """
        model = nnx.clone(self)
        variables = model.flat_variables()
        values = {} if params is None else flat_params(self, params, variables, complete=False)
        for path, variable in variables.items():
            variable.set_value(values.get(path, shape_of(variable)))
        fill(model, rng)
        return model.params
