"""Functions that the backward pass computes again: what they keep in between is not held for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import keras

from distilbert_tf.arrays import Tensor
from distilbert_tf.fast.custom_gradients import with_custom_gradient

__all__ = ["recompute"]


def recompute(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Call a function and keep only its inputs for the backward pass, which calls it again.

    `keras.remat` does so outside TensorFlow's graphs; in them it would keep the model, as `custom_gradients` says.

    Args:
        function: A function of tensors, and of nothing else that has a gradient; it returns one tensor.
        *inputs: The tensors.
    """
    if keras.backend.backend() != "tensorflow":
        return keras.remat(function)(*inputs)
    import tensorflow as tf

    inputs = tuple(map(tf.convert_to_tensor, inputs))
    if tf.executing_eagerly():
        return keras.remat(function)(*inputs)
    return with_custom_gradient(lambda *inputs: [function(*inputs)], partial(_gradients, function), *inputs)[0]


def _gradients(function: Callable[..., Tensor], inputs: Sequence[Tensor], upstream: Tensor) -> list[Tensor | None]:
    """Call a function again, and return the gradients for its inputs, given that of its output."""
    import tensorflow as tf

    x, *others = inputs
    first = tf.reduce_max(tf.reshape(upstream, (-1,))[:1])
    zero = tf.where(first == first, 0.0, float("nan"))  # only known in the backward pass: nothing runs before
    inputs = [x + tf.cast(zero, x.dtype), *others]
    differentiable = [x for x in inputs if x.dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch(differentiable)
        output = function(*inputs)
    gradients = iter(tape.gradient(output, differentiable, upstream))
    return [next(gradients) if x.dtype.is_floating else None for x in inputs]
