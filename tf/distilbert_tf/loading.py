"""Giving variables their values from a checkpoint as they are made: no others first, one tensor in memory at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from distilbert_common.errors import CheckpointError
from distilbert_tf.arrays import Tensor

if TYPE_CHECKING:
    from distilbert_conversion import LazyTensor


class Stored:
    """An initialiser that gives a variable the values of a tensor in a file, read at that moment.

    Args:
        tensor: The tensor, in PyTorch's layout.
        transposed: Whether Keras has it transposed.
    """

    def __init__(self, tensor: LazyTensor, transposed: bool) -> None:
        self.tensor = tensor.transposed() if transposed else tensor
        self.called = False
        self.error: CheckpointError | None = None

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Tensor:
        """Return the values; what is wrong with the file is kept, as Keras must not be stopped between variables."""
        self.called = True
        try:
            return self.values(dtype)
        except CheckpointError as error:
            self.error = error
            return ops.zeros(shape, dtype)

    def values(self, dtype: Any) -> Tensor:
        """Return the values, in memory that is no part of the file."""
        from distilbert_conversion.lazy import fill  # here, as importing the models alone takes no converter

        array = self.tensor.read()
        # TensorFlow copies arrays itself, if slowly where they are transposed; others may show them as they are.
        if keras.backend.backend() != "tensorflow" or not array.flags.c_contiguous:
            fill(copied := np.empty(array.shape, array.dtype), array)
            array = copied
        return ops.convert_to_tensor(array, dtype)


def defer(variables: Mapping[str, keras.Variable], stored: Mapping[str, Stored]) -> None:
    """Make variables that have no values yet take a checkpoint's when they get them: at the end of the scope.

    Args:
        variables: Variables made within the `keras.StatelessScope` that is still open.
        stored: Where some of them take their values from.
    """
    for name, values in stored.items():
        variables[name]._initializer = values


def finish(variables: Mapping[str, keras.Variable], stored: Mapping[str, Stored]) -> None:
    """Assign what was not taken, which is nothing unless Keras made the variables another way.

    Raises:
        CheckpointError: A tensor could not be read.
    """
    for name, values in stored.items():
        if not values.called:
            variables[name].assign(values(variables[name].shape, variables[name].dtype))
        if values.error is not None:
            raise values.error
