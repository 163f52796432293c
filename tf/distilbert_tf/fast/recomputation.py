"""Functions that the backward pass computes again: what they keep in between is not held for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import keras

from distilbert_tf.arrays import Tensor

__all__ = ["recompute"]

RECOMPUTED = "DistilBertRecomputed"
"""The name of the gradient in TensorFlow's table, and of the functions in a graph's collections."""


def recompute(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Call a function and keep only its inputs for the backward pass, which calls it again.

    `keras.remat` does so outside TensorFlow's graphs. For each graph it puts a gradient into TensorFlow's table, which
    keeps that graph for ever, and with it the variables of the model that was traced.

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
    name = _register_gradient()

    @tf.function(autograph=False)  # in a graph of its own gradients go by the name of the operation's gradient
    def run(*inputs: Tensor) -> Tensor:
        graph, output = tf.compat.v1.get_default_graph(), function(*inputs)
        graph.add_to_collection(RECOMPUTED, function)
        with graph.gradient_override_map({"IdentityN": name}):
            return tf.identity_n([output, *inputs])[0]

    return run(*inputs)


@cache
def _register_gradient() -> str:
    """Enter the gradient of all recomputed functions into TensorFlow's table, and return its name there."""
    import tensorflow as tf

    @tf.RegisterGradient(RECOMPUTED)
    def gradient(operation: tf.Operation, upstream: tf.Tensor, *_: Any) -> list[tf.Tensor | None]:
        function = operation.graph.get_collection(RECOMPUTED)[-1]
        x, *others = operation.inputs[1:]
        first = tf.reduce_max(tf.reshape(upstream, (-1,))[:1])
        zero = tf.where(first == first, 0.0, float("nan"))  # only known in the backward pass: nothing runs before
        inputs = [x + tf.cast(zero, x.dtype), *others]
        differentiable = [x for x in inputs if x.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(differentiable)
            output = function(*inputs)
        gradients = iter(tape.gradient(output, differentiable, upstream))
        return [None, *(next(gradients) if x.dtype.is_floating else None for x in inputs)]

    return RECOMPUTED
