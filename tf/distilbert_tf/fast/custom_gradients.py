"""Gradients of one's own, as `tf.custom_gradient` has them, without what it keeps.

For each graph it puts a gradient into TensorFlow's table, which keeps that graph for ever, and with it the variables of
the model that was traced. Here the table holds one gradient for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

from distilbert_common.errors import InputError
from distilbert_tf.arrays import Tensor

__all__ = ["with_custom_gradient"]

Gradient: TypeAlias = Callable[..., Sequence[Tensor | None]]
"""Takes the inputs, and the gradient of each output; returns those for the first inputs, and none for the others."""

CUSTOM = "DistilBertCustom"
"""The name of the gradient in TensorFlow's table, and of the functions in a graph's collections."""

NOT_SAVED = (
    "a saved graph has no gradient here; take it from the model itself, or save a graph traced with DISTILBERT_FAST=0"
)


def with_custom_gradient(
    function: Callable[..., Sequence[Tensor]], gradient: Gradient, *inputs: Tensor
) -> tuple[Tensor, ...]:
    """Call a function whose gradient another function computes.

    Args:
        function: A function of tensors, and of nothing else that has a gradient; of what it does nothing is recorded.
        gradient: The other function. Where gradients of gradients are taken, they are those of its operations.
        *inputs: The tensors.
    """
    import tensorflow as tf

    def custom(*inputs: Tensor) -> tuple[Sequence[Tensor], Callable[..., list[Tensor | None]]]:
        outputs = function(*map(tf.stop_gradient, inputs))

        def backward(*upstream: Tensor | None) -> list[Tensor | None]:
            known = (tf.zeros_like(y) if d is None else d for d, y in zip(upstream, outputs, strict=True))
            gradients = gradient(inputs, *known)
            return [*gradients, *[None] * (len(inputs) - len(gradients))]

        return outputs, backward

    inputs = tuple(map(tf.convert_to_tensor, inputs))
    if tf.executing_eagerly():
        return tuple(tf.custom_gradient(custom)(*inputs))
    name = _register_gradient()

    @tf.function(autograph=False)  # in a graph of its own gradients go by the name of the operation's gradient
    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        graph, (outputs, backward) = tf.compat.v1.get_default_graph(), custom(*inputs)
        graph.add_to_collection(CUSTOM, (len(outputs), backward))
        with graph.gradient_override_map({"IdentityN": name}):
            return tuple(tf.identity_n([*outputs, *inputs])[: len(outputs)])

    return tuple(run(*inputs))


@cache
def _register_gradient() -> str:
    """Enter the gradient of all functions into TensorFlow's table, and return its name there."""
    import tensorflow as tf

    @tf.RegisterGradient(CUSTOM)
    def gradient(operation: tf.Operation, *upstream: Any) -> list[tf.Tensor | None]:
        if operation is None:  # as `tf.saved_model.save` asks, which can save no function of Python
            with tf.control_dependencies([tf.debugging.Assert(tf.constant(False), [NOT_SAVED])]):
                return [tf.identity(d) for d in upstream]
        functions = operation.graph.get_collection(CUSTOM)
        if not functions:
            raise InputError(NOT_SAVED)
        outputs, backward = functions[-1]
        return [*[None] * outputs, *backward(*upstream[:outputs])]

    return CUSTOM
