"""AdamW with clipped gradients and a scaled loss, and its state as arrays.

What the learning rate of a step is, `distilbert_tasks.training.schedule` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from distilbert_common.training import Arrays, EngineOptions, Parameter
from distilbert_common.training_state import GROWTH_INTERVAL, OptimizerState, initial_loss_scale
from distilbert_tf.arrays import Tensor, to_array
from distilbert_tf.framework.stepping import Stepping
from distilbert_tf.inventory import in_layout

__all__ = ["AdamW"]


class AdamW:
    """AdamW as `torch.optim.AdamW` computes it; Keras' own adds epsilon before the bias is corrected.

    Attributes:
        parameters: The variables that are trained, by canonical name.
    """

    def __init__(
        self,
        parameters: Mapping[str, keras.Variable],
        rules: Mapping[str, Parameter],
        options: EngineOptions,
        stepping: Stepping,
    ) -> None:
        self.parameters = dict(parameters)
        self._rules = [rules[name] for name in self.parameters]
        self._options = options
        self._first, self._second = (
            {name: zeros(variable.shape) for name, variable in self.parameters.items()} for _ in range(2)
        )
        self._count = zeros((), "int32")
        self._scale = keras.Variable(initial_loss_scale(options), trainable=False, name="loss_scale")  # (2,)
        changing = (*self.parameters.values(), *self._first.values(), *self._second.values(), self._count, self._scale)
        self._update = stepping.update(self._updated, changing)

    @property
    def loss_scale(self) -> Tensor:
        """What losses are multiplied by, so that float16 gradients do not vanish; a scalar."""
        return ops.convert_to_tensor(self._scale)[0]

    def update(self, gradients: Sequence[Tensor], learning_rate: float) -> Tensor:
        """Change the parameters by gradients; nothing where one is not finite.

        Args:
            gradients: Those of the scaled loss, in the order of the parameters.
            learning_rate: That of parameters whose rate is 1.

        Returns:
            The norm of the gradients, unscaled, before they are clipped.
        """
        return self._update(list(gradients), ops.convert_to_tensor(learning_rate, "float32"))

    def _updated(self, values: list[Tensor], gradients: list[Tensor], learning_rate: Tensor) -> Any:
        """Return the new values of parameters, moments, count and loss scale, and the norm of the gradients."""
        n, options = len(gradients), self._options
        parameters, first, second, (count, scale) = values[:n], values[n : 2 * n], values[2 * n : -2], values[-2:]
        norm = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in gradients)) / scale[0]
        finite, divisor = ops.isfinite(norm), scale[0]
        if options.max_grad_norm is not None:
            divisor = divisor * ops.maximum((norm + 1e-6) / options.max_grad_norm, 1.0)
        steps = ops.cast(count + 1, "float32")
        # 1 - beta ** steps, of which float32 would lose digits where beta is nearly 1
        corrections = [-ops.expm1(steps * log(beta)) if beta else 1.0 for beta in options.betas]
        new = [
            stepped((value, one, other, gradient / divisor), rule, corrections, learning_rate, options)
            for value, one, other, gradient, rule in zip(parameters, first, second, gradients, self._rules, strict=True)
        ]
        after = [*(tensor for kind in zip(*new, strict=True) for tensor in kind), count + 1]
        after = [ops.where(finite, one, other) for one, other in zip(after, values[:-1], strict=True)]
        return [*after, rescaled(scale, finite) if options.precision == "float16" else scale], norm

    def state(self) -> Arrays:
        """Return moments, count of updates and scale of the loss, as copies."""
        first, second = (
            {name: in_layout(name, to_array(moment)) for name, moment in moments.items()}
            for moments in (self._first, self._second)
        )
        return OptimizerState(first, second, int(to_array(self._count)), to_array(self._scale)).arrays()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned."""
        first, second, updates, scale = OptimizerState.of(state)
        for arrays, moments in ((first, self._first), (second, self._second)):
            for name, moment in moments.items():
                moment.assign(np.array(in_layout(name, arrays[name])))
        self._count.assign(updates)
        self._scale.assign(np.array(scale))


def stepped(
    tensors: tuple[Tensor, Tensor, Tensor, Tensor],
    rule: Parameter,
    corrections: Sequence[Tensor],
    learning_rate: Tensor,
    options: EngineOptions,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a parameter and its moments after a step.

    Args:
        tensors: The parameter, its moments, and its gradient.
        rule: How it is trained.
        corrections: What the moments are divided by, as they start at 0.
        learning_rate: That of parameters whose rate is 1.
        options: The decay rates of the moments, and epsilon.
    """
    value, first, second, gradient = tensors
    first = first + (gradient - first) * (1 - options.betas[0])
    second = second * options.betas[1] + ops.square(gradient) * (1 - options.betas[1])
    direction = first / corrections[0] / (ops.sqrt(second / corrections[1]) + options.epsilon)
    rate = learning_rate * rule.rate
    return value * (1 - rate * rule.decay) - rate * direction, first, second


def rescaled(scale: Tensor, finite: Tensor) -> Tensor:
    """Return the loss scale after a step: half after an overflow, twice after many steps without one; (2,) -> (2,)."""
    factor, steps = scale[0], scale[1]
    grown = steps + 1 >= GROWTH_INTERVAL
    longer = ops.stack([ops.where(grown, factor * 2, factor), ops.where(grown, 0.0, steps + 1)])
    return ops.where(finite, longer, ops.stack([factor / 2, ops.zeros_like(steps)]))


def zeros(shape: tuple[int, ...], dtype: str = "float32") -> keras.Variable:
    """Return a variable of zeros that is no weight."""
    return keras.Variable("zeros", shape=shape, dtype=dtype, trainable=False)
