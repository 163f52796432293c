"""What the models compute with Keras' own layers: the layers are what tools look for, speed comes from here.

A layer that is exactly Keras' class is computed here; any other, and one that was quantized or given LoRA, is called.

On the CPU TensorFlow makes one step of a product of matrices, a `BiasAdd` and an activation. `keras.layers.Dense`
multiplies (batch, seq, dim) and adds by `AddV2`, which it leaves apart: a fifth more time in the feed-forward network.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from distilbert_tf.arrays import Tensor, with_dense_gradient
from distilbert_tf.checks import is_concrete


def is_plain(layer: keras.layers.Layer, kind: type[keras.layers.Layer]) -> bool:
    """Whether a layer is exactly of a class of Keras, with its weights as they were made."""
    changed = getattr(layer, "lora_enabled", False) or layer.dtype_policy.quantization_mode is not None
    return type(layer) is kind and layer.built and not changed and layer.activity_regularizer is None


def linear(layer: keras.layers.Layer, x: Tensor, then: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """(..., in_features) -> (..., out_features), with an elementwise function after it where one is given."""
    plain = is_plain(layer, keras.layers.Dense) and layer.use_bias and layer.activation is keras.activations.linear
    if not plain or keras.backend.backend() != "tensorflow":
        product = layer(x)
        return product if then is None else then(product)
    import tensorflow as tf

    kernel, bias = (ops.cast(variable, layer.compute_dtype) for variable in (layer.kernel, layer.bias))
    rows = ops.reshape(ops.cast(x, layer.compute_dtype), (-1, x.shape[-1]))  # (rows, in_features)
    product = tf.nn.bias_add(ops.matmul(rows, kernel), bias)
    product = product if then is None else then(product)  # (rows, out_features)
    return ops.reshape(product, (*ops.shape(x)[:-1], layer.units))


def look_up(layer: keras.layers.Layer, ids: Tensor, padding_idx: int | None = None) -> Tensor:
    """Return rows of a table: (batch, seq) -> (batch, seq, dim).

    Gradients pass by the pad row, as in PyTorch. An id outside the table, which only traced code can bring this far,
    gives NaN, or TensorFlow's own error: it cannot be refused there, and another row's values would pass unseen.

    Args:
        layer: The embedding.
        ids: (batch, seq).
        padding_idx: The row that no gradient reaches.
    """
    if not keras.backend.is_int_dtype(ids.dtype):  # as Keras' own: it builds models with float ids at times
        ids = ops.cast(ids, "int32")
    if is_plain(layer, keras.layers.Embedding):
        table = with_dense_gradient(ops.convert_to_tensor(layer.embeddings))  # (rows, dim)
        rows = ops.cast(ops.take(table, ids, axis=0), layer.compute_dtype)  # (batch, seq, dim)
    else:
        rows = layer(ids)  # (batch, seq, dim)
    if not is_concrete(ids) and hasattr(layer, "input_dim"):
        inside = ops.logical_and(ids >= 0, ids < layer.input_dim)  # (batch, seq)
        rows = ops.where(ops.expand_dims(inside, -1), rows, ops.cast(float("nan"), rows.dtype))
    if padding_idx is None:
        return rows
    pad = ops.equal(ids, padding_idx)  # (batch, seq)
    return ops.where(ops.expand_dims(pad, -1), ops.stop_gradient(rows), rows)


def table_of(layer: keras.layers.Layer) -> Tensor:
    """Return the whole table of an embedding (rows, dim); one that was quantized as what its rows stand for."""
    if layer.dtype_policy.quantization_mode is None:
        return ops.convert_to_tensor(layer.embeddings)
    return layer(ops.arange(layer.input_dim))


def normalize(layer: keras.layers.Layer, x: Tensor) -> Tensor:
    """(..., dim) -> (..., dim): a LayerNorm as its formula reads, (x - mean) / sqrt(variance + epsilon) * gamma + beta.

    In float32. Keras multiplies x and the mean out, which costs digits where the mean is large against the deviation.
    """
    plain = is_plain(layer, keras.layers.LayerNormalization) and layer.center and layer.scale and not layer.rms_scaling
    if not plain or layer.axis not in (-1, [-1], len(x.shape) - 1):
        return layer(x)
    dtype, x = layer.compute_dtype, ops.cast(x, "float32")
    x = x - ops.mean(x, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(x), axis=-1, keepdims=True)
    gamma, beta = ops.cast(layer.gamma, "float32"), ops.cast(layer.beta, "float32")
    return ops.cast(x * ops.rsqrt(variance + layer.epsilon) * gamma + beta, dtype)
