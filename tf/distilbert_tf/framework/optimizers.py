"""Optimizers of models that train on one device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

__all__ = ["leave_out_reduction"]


def leave_out_reduction(optimizer: keras.optimizers.Optimizer | None) -> None:
    """Let an optimizer on one device not sum gradients over devices: there is nothing to sum.

    For each training function TensorFlow would put a gradient of that sum into a table that it never empties, and with
    it the function and all variables of the model.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # what scales a loss holds the one that steps
    if optimizer is None or keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        optimizer._all_reduce_sum_gradients = as_list  # Keras has no public way


def as_list(gradients_and_variables: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return the pairs as they are."""
    return list(gradients_and_variables)
