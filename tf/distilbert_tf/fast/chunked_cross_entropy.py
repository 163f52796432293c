"""The masked-LM loss without logits: labeled positions only, and of those a few hundred at a time.

The gradient of a chunk is known once its loss is, so both are computed in one pass and (tokens x vocab) is never whole.
Sizes are static, so that XLA compiles it: labeled positions come first, and the loop ends after them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

from distilbert_common.constants import IGNORE_INDEX, LOSS_CHUNK_TOKENS, is_fast
from distilbert_tf.arrays import Tensor
from distilbert_tf.fast.custom_gradients import with_custom_gradient
from distilbert_tf.framework import replicas

__all__ = ["can_chunk", "chunked_cross_entropy", "with_gradients"]


def can_chunk(x: Tensor) -> bool:
    """Whether the loss of x can be computed in chunks: on TensorFlow, with values."""
    return is_fast() and keras.backend.backend() == "tensorflow" and not isinstance(x, keras.KerasTensor)


def chunked_cross_entropy(x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    """Return what `losses.masked_lm_loss` does, with the same arguments, all of one floating dtype."""
    labels = ops.cast(ops.reshape(labels, (-1,)), "int32")  # (tokens,)
    count = ops.sum(ops.cast(ops.not_equal(labels, IGNORE_INDEX), "int32"))
    order = ops.argsort(ops.cast(ops.equal(labels, IGNORE_INDEX), "int32"))  # stable on TensorFlow
    x = ops.take(ops.reshape(x, (-1, x.shape[-1])), order, axis=0)  # (tokens, dim)
    x = ops.pad(x, ((0, LOSS_CHUNK_TOKENS), (0, 0)))  # (tokens + chunk, dim): the last chunk may reach beyond
    labels = ops.pad(ops.take(labels, order, axis=0), (0, LOSS_CHUNK_TOKENS), constant_values=IGNORE_INDEX)
    return replicas.mean(_total(x, weight, bias, labels, count), count)


def _total(x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, count: Tensor) -> Tensor:
    """Return the sum of the cross-entropies of the first `count` positions."""
    import tensorflow as tf

    def whole(x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
        return _chunk(x, labels, weight, bias)[0]

    loss, *gradients = _loop(tf.stop_gradient(x), tf.stop_gradient(weight), tf.stop_gradient(bias), labels, count)
    return with_gradients(loss, gradients, (x, weight, bias), whole, labels)


def with_gradients(
    value: Tensor, gradients: Sequence[Tensor], tensors: Sequence[Tensor], whole: Callable[..., Tensor], *others: Tensor
) -> Tensor:
    """Return a scalar with given gradients for tensors, which have gradients themselves.

    Args:
        value: The scalar.
        gradients: One for each tensor.
        tensors: What the scalar has gradients for.
        whole: Computes the scalar from the tensors and others, all at once: what gradients of gradients are taken from.
        *others: What else the scalar depends on.
    """
    size = len(tensors)

    def first(inputs: Sequence[Tensor], upstream: Tensor) -> list[Tensor]:
        gradients, given = inputs[:size], inputs[size:]
        known = with_custom_gradient(lambda *_: gradients, partial(_second_gradients, whole, size), *given)
        pairs = zip(known, given, strict=False)
        return [None] * size + [ops.cast(ops.cast(d, "float32") * upstream, of.dtype) for d, of in pairs]

    return with_custom_gradient(lambda *_: [value], first, *gradients, *tensors, *others)[0]


def _second_gradients(
    whole: Callable[..., Tensor], size: int, inputs: Sequence[Tensor], *upstream: Tensor
) -> list[Tensor | None]:
    """Return the gradients for the first inputs of the gradients of a scalar for them, given those of these."""
    import tensorflow as tf

    @tf.function(autograph=False)  # also where no tape records, as in the forward mode
    def run(inputs: Sequence[Tensor], upstream: Sequence[Tensor]) -> list[Tensor | None]:
        tensors = inputs[:size]
        gradients = tf.gradients(whole(*inputs), tensors)
        upstream = [tf.cast(d, of.dtype) for d, of in zip(upstream, gradients, strict=True)]
        return list(tf.gradients(gradients, tensors, upstream))

    return list(run(list(inputs), list(upstream)))


def _loop(x: Any, weight: Any, bias: Any, labels: Any, count: Any) -> tuple[Any, ...]:
    """Return the sum of the cross-entropies, and its gradients for x, weight and bias."""
    import tensorflow as tf

    def step(start: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        part = tf.slice(x, (start, 0), (LOSS_CHUNK_TOKENS, x.shape[1]))  # (chunk, dim)
        loss, d_logits = _chunk(part, tf.slice(labels, (start,), (LOSS_CHUNK_TOKENS,)), weight, bias)
        low = tf.cast(d_logits, x.dtype)  # (chunk, vocab)
        indices = start + tf.range(LOSS_CHUNK_TOKENS)[:, None]
        return (
            start + LOSS_CHUNK_TOKENS,
            sums[0] + loss,
            tf.tensor_scatter_nd_update(sums[1], indices, tf.matmul(low, weight)),
            sums[2] + tf.cast(tf.matmul(low, part, transpose_a=True), tf.float32),
            sums[3] + tf.reduce_sum(d_logits, axis=0),
        )

    begin = (
        tf.constant(0), tf.constant(0.0), tf.zeros_like(x),
        tf.zeros(tf.shape(weight), tf.float32), tf.zeros(tf.shape(bias), tf.float32),
    )  # fmt: skip
    return tuple(tf.while_loop(lambda start, *_: start < count, step, begin)[1:])


def _chunk(x: Any, labels: Any, weight: Any, bias: Any) -> tuple[Any, Any]:
    """Return the loss of one chunk, and its gradient for the logits (chunk, vocab)."""
    import tensorflow as tf

    logits = tf.cast(tf.matmul(x, weight, transpose_b=True) + bias, tf.float32)  # (chunk, vocab)
    counts = tf.cast(labels != IGNORE_INDEX, tf.float32)  # (chunk,)
    targets = tf.maximum(labels, 0)  # (chunk,)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)  # (chunk,)
    d_logits = tf.nn.softmax(logits) - tf.one_hot(targets, tf.shape(logits)[1])  # (chunk, vocab)
    return tf.reduce_sum(loss * counts), d_logits * counts[:, None]
