"""AdamW with clipped gradients and a scaled loss, and its state as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from jax.sharding import Sharding
from numpy.typing import NDArray

from distilbert_common.training import Arrays, EngineOptions, Parameter
from distilbert_common.training_state import (
    FIRST_MOMENTS,
    GROWTH_INTERVAL,
    LOSS_SCALE,
    SECOND_MOMENTS,
    UPDATES,
    initial_loss_scale,
)
from distilbert_flax.arrays import to_jax
from distilbert_flax.inventory import in_layout

__all__ = ["AdamW"]

Tree = dict[str, Array]
"""Arrays by canonical name, in Flax's layout."""


class AdamW:
    """AdamW as `torch.optim.AdamW` computes it, in one program that takes over the memory of what it changes.

    Attributes:
        parameters: The variables that are trained, by canonical name.
    """

    def __init__(
        self,
        parameters: Mapping[str, nnx.Variable[Array]],
        rules: Mapping[str, Parameter],
        options: EngineOptions,
        sharding: Sharding,
    ) -> None:
        self.parameters = dict(parameters)
        self._sharding = sharding
        self._adam = optax.scale_by_adam(*options.betas, eps=options.epsilon)
        self._moments: Any = jax.jit(self._adam.init, out_shardings=sharding)(self.values())
        self._scale = jax.device_put(initial_loss_scale(options), sharding)  # (2,): the factor, steps it has held
        self._update = jax.jit(
            partial(updated, adam=self._adam, rules=dict(rules), options=options), donate_argnums=(0, 1, 3)
        )

    @property
    def loss_scale(self) -> Array:
        """What losses are multiplied by, so that float16 gradients do not vanish; a scalar."""
        return self._scale[0]

    def values(self) -> Tree:
        """Return the values of the parameters."""
        return {name: variable.get_raw_value() for name, variable in self.parameters.items()}

    def update(self, gradients: Tree, learning_rate: float) -> Array:
        """Change the parameters by gradients; nothing where one is not finite.

        Args:
            gradients: Those of the scaled loss, by canonical name.
            learning_rate: That of parameters whose rate is 1.

        Returns:
            The norm of the gradients, unscaled, before they are clipped.
        """
        values, self._moments, self._scale, norm = self._update(
            self.values(), self._moments, gradients, self._scale, jnp.float32(learning_rate)
        )
        for name, variable in self.parameters.items():
            variable.set_value(values[name])
        return norm

    def state(self) -> Arrays:
        """Return moments, count of updates and scale of the loss, as copies."""
        state: Arrays = {}
        for part, moments in ((FIRST_MOMENTS, self._moments.mu), (SECOND_MOMENTS, self._moments.nu)):
            state |= {part + name: np.array(in_layout(name, np.asarray(moments[name]))) for name in self.parameters}
        return state | {UPDATES: np.array(self._moments.count, np.int64), LOSS_SCALE: np.array(self._scale)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned."""
        first, second = (
            {
                name: jax.device_put(to_jax(in_layout(name, state[part + name]), np.float32), self._sharding)
                for name in self.parameters
            }
            for part in (FIRST_MOMENTS, SECOND_MOMENTS)
        )
        count = jax.device_put(np.int32(state[UPDATES]), self._sharding)
        self._moments = self._moments._replace(count=count, mu=first, nu=second)
        self._scale = jax.device_put(np.array(state[LOSS_SCALE], np.float32), self._sharding)


def updated(
    values: Tree,
    moments: Any,
    gradients: Tree,
    scale: Array,
    learning_rate: Array,
    *,
    adam: optax.GradientTransformation,
    rules: Mapping[str, Parameter],
    options: EngineOptions,
) -> tuple[Tree, Any, Array, Array]:
    """Return parameters, moments and loss scale after a step, and the norm of its gradients."""
    norm = optax.global_norm(gradients) / scale[0]
    finite, divisor = jnp.isfinite(norm), scale[0]
    if options.max_grad_norm is not None:
        divisor *= jnp.maximum((norm + 1e-6) / options.max_grad_norm, 1.0)
    gradients = jax.tree.map(lambda gradient: gradient / divisor, gradients)
    directions, new_moments = adam.update(gradients, moments)

    def stepped(name: str) -> Array:
        rate = learning_rate * rules[name].rate
        return values[name] * (1 - rate * rules[name].decay) - rate * directions[name]

    new = {name: stepped(name) for name in values}
    values, moments = jax.tree.map(partial(jnp.where, finite), (new, new_moments), (values, moments))
    return values, moments, rescaled(scale, finite) if options.precision == "float16" else scale, norm


def rescaled(scale: Array, finite: Array) -> Array:
    """Return the loss scale after a step: half after an overflow, twice after many steps without one; (2,) -> (2,)."""
    factor, held = scale
    grown = held + 1 >= GROWTH_INTERVAL
    longer = jnp.stack([jnp.where(grown, factor * 2, factor), jnp.where(grown, 0.0, held + 1)])
    return jnp.where(finite, longer, jnp.stack([factor / 2, jnp.zeros_like(held)]))
