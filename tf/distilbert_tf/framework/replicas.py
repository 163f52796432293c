"""Means over all replicas of a `tf.distribute` strategy, so that several replicas train as one does.

Keras' optimizers add the gradients of the replicas up, so each replica's loss must be its share of the loss of the
global batch: what it adds to the sum, over the number of labels that count on all replicas together.
"""

from __future__ import annotations

import keras
from keras import ops

from distilbert_tf.arrays import Tensor

__all__ = ["mean", "share"]


def replicas_in_sync() -> int:
    """Return how many replicas run this code together; 1 outside a replica, and on Keras' other backends."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return 1 if context is None else int(context.num_replicas_in_sync)


def mean(total: Tensor, count: Tensor) -> Tensor:
    """Return total / count, or 0 where nothing counts; in a replica the share of the mean over all replicas.

    The shares are equal and their sum is the mean, while each carries the gradient of what its own replica adds: a
    loop adds them up (`strategy.reduce("SUM", …)`), as it does with the losses of Keras.

    Args:
        total: The sum of what counts here, a float scalar.
        count: How much counts here, a scalar.
    """
    count = ops.cast(count, total.dtype)
    replicas = replicas_in_sync()
    if replicas == 1 or isinstance(total, keras.KerasTensor):
        return total / ops.maximum(count, 1.0)
    mean = total / ops.maximum(sum_over_replicas(count), 1.0)
    return mean + ops.stop_gradient(sum_over_replicas(ops.stop_gradient(mean)) / replicas - mean)


def share(value: Tensor) -> Tensor:
    """Return a replica's share of a value that is the same on all replicas."""
    replicas = replicas_in_sync()
    return value if replicas == 1 else value / replicas


def sum_over_replicas(value: Tensor) -> Tensor:
    """Return the sum of a value over all replicas; called in a replica."""
    import tensorflow as tf

    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)
