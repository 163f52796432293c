"""AdamW with clipped gradients and a scaled loss, and its state as arrays.

What the learning rate of a step is, `distilbert_tasks.training.schedule` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import log
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import Sharding
from numpy.typing import NDArray

from distilbert_common.training import Arrays, EngineOptions, Parameter
from distilbert_common.training_state import GROWTH_INTERVAL, OptimizerState, initial_loss_scale
from distilbert_flax.arrays import to_jax
from distilbert_flax.inventory import in_layout

__all__ = ["AdamW"]

Tree = dict[str, Array]
"""Arrays by canonical name, in Flax's layout."""


class Moments(NamedTuple):
    """What AdamW keeps: two averages for each parameter, and how many updates they are of."""

    first: Tree
    second: Tree
    count: Array


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
        zeros = jax.jit(partial(jax.tree.map, jnp.zeros_like), out_shardings=sharding)
        self._moments = Moments(zeros(self.values()), zeros(self.values()), jax.device_put(jnp.int32(0), sharding))
        self._scale = jax.device_put(initial_loss_scale(options), sharding)  # (2,): the factor, steps it has held
        self._update = jax.jit(partial(updated, rules=dict(rules), options=options), donate_argnums=(0, 1, 3))

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
        first, second = (
            {name: in_layout(name, np.asarray(moments[name])) for name in self.parameters}
            for moments in (self._moments.first, self._moments.second)
        )
        return OptimizerState(first, second, int(self._moments.count), np.asarray(self._scale)).arrays()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned."""
        first, second, updates, scale = OptimizerState.of(state)
        count = jax.device_put(jnp.int32(updates), self._sharding)
        self._moments = Moments(self._placed(first), self._placed(second), count)
        self._scale = jax.device_put(np.array(scale, np.float32), self._sharding)

    def _placed(self, arrays: Arrays) -> Tree:
        """Return moments of one kind, on the devices and in Flax's layout."""
        moments = {name: to_jax(in_layout(name, arrays[name]), np.dtype(np.float32)) for name in self.parameters}
        return jax.device_put(moments, self._sharding)


def updated(
    values: Tree,
    moments: Moments,
    gradients: Tree,
    scale: Array,
    learning_rate: Array,
    *,
    rules: Mapping[str, Parameter],
    options: EngineOptions,
) -> tuple[Tree, Moments, Array, Array]:
    """Return parameters, moments and loss scale after a step, and the norm of its gradients."""
    norm = jnp.sqrt(sum(jnp.vdot(gradient, gradient) for gradient in gradients.values())) / scale[0]
    finite, divisor = jnp.isfinite(norm), scale[0]
    if options.max_grad_norm is not None:
        divisor *= jnp.maximum((norm + 1e-6) / options.max_grad_norm, 1.0)
    count = moments.count + 1
    # 1 - beta ** count, of which float32 would lose digits where beta is nearly 1
    corrections = [-jnp.expm1(count * log(beta)) if beta else 1.0 for beta in options.betas]
    new = {}
    for name, value in values.items():
        gradient, rule = gradients[name] / divisor, rules[name]
        first = moments.first[name] + (gradient - moments.first[name]) * (1 - options.betas[0])
        second = moments.second[name] * options.betas[1] + jnp.square(gradient) * (1 - options.betas[1])
        direction = first / corrections[0] / (jnp.sqrt(second / corrections[1]) + options.epsilon)
        rate = learning_rate * rule.rate
        new[name] = (value * (1 - rate * rule.decay) - rate * direction, first, second)
    steps = tuple({name: triple[i] for name, triple in new.items()} for i in range(3))
    after, before = (steps[0], Moments(steps[1], steps[2], count)), (values, moments)
    values, moments = jax.tree.map(partial(jnp.where, finite), after, before)
    return values, moments, rescaled(scale, finite) if options.precision == "float16" else scale, norm


def rescaled(scale: Array, finite: Array) -> Array:
    """Return the loss scale after a step: half after an overflow, twice after many steps without one; (2,) -> (2,)."""
    factor, steps = scale
    grown = steps + 1 >= GROWTH_INTERVAL
    longer = jnp.stack([jnp.where(grown, factor * 2, factor), jnp.where(grown, 0.0, steps + 1)])
    return jnp.where(finite, longer, jnp.stack([factor / 2, jnp.zeros_like(steps)]))
