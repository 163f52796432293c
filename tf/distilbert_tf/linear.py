"""The matrix products of the model, written so that TensorFlow joins each with what follows it.

On the CPU TensorFlow makes one step of a product of matrices, a `BiasAdd` and an activation. `keras.layers.Dense`
multiplies (batch, seq, dim) and adds by `AddV2`, which it leaves apart: a fifth more time in the feed-forward network.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import ops

from distilbert_tf.arrays import Tensor


@keras.saving.register_keras_serializable(package="distilbert_tf")
class Linear(keras.layers.Dense):
    """`keras.layers.Dense`, the same weights and values."""

    def call(self, inputs: Tensor, then: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """(..., in_features) -> (..., out_features), with an elementwise function after it where one is given."""
        if keras.backend.backend() != "tensorflow":
            found = super().call(inputs)
            return found if then is None else then(found)
        import tensorflow as tf

        rows = ops.reshape(inputs, (-1, inputs.shape[-1]))  # (rows, in_features)
        found = tf.nn.bias_add(ops.matmul(rows, self.kernel), ops.convert_to_tensor(self.bias))
        found = found if then is None else then(found)  # (rows, out_features)
        return ops.reshape(found, (*ops.shape(inputs)[:-1], self.units))
