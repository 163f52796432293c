"""Dense layers in fewer steps, each with the value of the plain call.

On the CPU TensorFlow makes one step of a product of two matrices, the sum with a bias and an activation. A
`keras.layers.Dense` multiplies (batch, seq, dim), which it leaves apart: a fifth more time in the feed-forward network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import ops

from distilbert_common.constants import is_fast
from distilbert_tf.arrays import Tensor
from distilbert_tf.fast.recomputation import recompute
from distilbert_tf.layers import is_plain

__all__ = ["fused_feed_forward", "linear", "linear_activation"]

Activation = Callable[[Tensor], Tensor]


def linear(layer: keras.layers.Layer, x: Tensor) -> Tensor:
    """Return `layer(x)`: (…, in_features) -> (…, out_features)."""
    return product(layer, x) if can_fuse(layer) else layer(x)


def linear_activation(layer: keras.layers.Layer, activation: Activation, x: Tensor) -> Tensor:
    """Return `activation(layer(x))`, the activation elementwise: (…, in_features) -> (…, out_features)."""
    return product(layer, x, activation) if can_fuse(layer) else activation(layer(x))


def fused_feed_forward(call: Callable[[Any, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Have the `call` of a feed-forward network take fewer steps, and in training keep less for the backward pass."""

    def fused(ffn: Any, x: Tensor, training: bool | None = None) -> Tensor:
        """(batch, seq, dim) -> (batch, seq, dim)."""
        if not is_fast():
            return call(ffn, x)
        activation = ffn.activation
        if training:  # cheap to compute again for the backward pass, large to keep
            activation = partial(recompute, activation)
        return ffn.dropout(linear(ffn.lin2, linear_activation(ffn.lin1, activation, x)))

    return fused


def can_fuse(layer: keras.layers.Layer) -> bool:
    """Whether a layer is nothing but a product and a bias, on TensorFlow."""
    if not is_fast() or keras.backend.backend() != "tensorflow" or not is_plain(layer, keras.layers.Dense):
        return False
    return layer.use_bias and layer.activation is keras.activations.linear


def product(layer: keras.layers.Dense, x: Tensor, activation: Activation | None = None) -> Tensor:
    """Return `activation(layer(x))` by one product of two matrices: (…, in_features) -> (…, out_features)."""
    import tensorflow as tf

    kernel, bias = (ops.cast(variable, layer.compute_dtype) for variable in (layer.kernel, layer.bias))
    rows = ops.reshape(ops.cast(x, layer.compute_dtype), (-1, x.shape[-1]))  # (rows, in_features)
    rows = tf.nn.bias_add(ops.matmul(rows, kernel), bias)
    rows = rows if activation is None else activation(rows)  # (rows, out_features)
    return ops.reshape(rows, (*ops.shape(x)[:-1], layer.units))  # (…, out_features)
