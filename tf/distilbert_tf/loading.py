"""Giving variables their values from a checkpoint as they are made: no others first, one tensor in memory at a time."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from distilbert_common import DistilBertConfig
from distilbert_common.errors import CheckpointError
from distilbert_tf.arrays import Tensor
from distilbert_tf.inventory import is_transposed, shapes

if TYPE_CHECKING:
    from distilbert_common.load_report import LoadReport
    from distilbert_conversion import Checkpoint, LazyTensor


class CheckpointInitializer:
    """An initializer that gives a variable the values of a tensor in a file, read at that moment.

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
        from distilbert_conversion import fill  # here, as importing the models alone takes no converter

        array = self.tensor.read()
        # TensorFlow copies arrays itself, if slowly where they are transposed; others may show them as they are.
        if keras.backend.backend() != "tensorflow" or not array.flags.c_contiguous:
            fill(copied := np.empty(array.shape, array.dtype), array)
            array = copied
        return ops.convert_to_tensor(array, dtype)


def fill(
    cls: type[Any],
    checkpoint: Checkpoint,
    config: DistilBertConfig,
    args: Iterable[Any],
    arguments: Mapping[str, Any],
    policy: keras.DTypePolicy,
    *,
    ignore_mismatched_sizes: bool,
) -> tuple[Any, LoadReport]:
    """Make a model with the values of a checkpoint.

    Args:
        cls: The model's class.
        checkpoint: An open checkpoint.
        config: The sizes.
        args: Arguments of the constructor after the config.
        arguments: Keywords of the constructor.
        policy: The dtype policy.
        ignore_mismatched_sizes: Whether weights of another shape are left at their initial values.

    Returns:
        The model, and what became of each weight.

    Raises:
        CheckpointError: Weights are missing or misshapen, or a tensor could not be read.
    """
    from distilbert_conversion import check, compare

    # a user's constructor may compute with values
    is_user_class = cls.__init__.__module__.partition(".")[0] != __package__
    if not is_user_class:
        report = compare(checkpoint, config, cls.head)
        check(checkpoint, report, ignore_mismatched_sizes=ignore_mismatched_sizes)
    # where variables are made without values until its end
    with nullcontext() if is_user_class else keras.StatelessScope():
        model = build(cls, config, args, arguments, policy)
        variables = dict(model.named_variables())
        if is_user_class:
            report = compare(checkpoint, config, cls.head, expected=shapes(model))
            check(checkpoint, report, ignore_mismatched_sizes=ignore_mismatched_sizes)
        weights = {name: checkpoint.weight(name) for name in report.loaded}
        initializers = {
            name: CheckpointInitializer(weight, is_transposed(name))
            for name, weight in weights.items()
            if weight is not None
        }
        if not is_user_class:
            attach(variables, initializers)
    flush(variables, initializers)
    return model, report


def build(
    cls: type[Any], config: DistilBertConfig, args: Iterable[Any], arguments: Mapping[str, Any], dtype: Any
) -> Any:
    """Construct a model with a dtype policy, which the constructor need not take."""
    parameters = inspect.signature(cls.__init__).parameters
    if "dtype" in parameters or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return cls(config, *args, **arguments, dtype=dtype)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(before if dtype is None else keras.dtype_policies.get(dtype))
    try:
        return cls(config, *args, **{name: value for name, value in arguments.items() if name in parameters})
    finally:
        keras.config.set_dtype_policy(before)


KERAS_ARGUMENTS = ("name", "trainable")
"""What every constructor takes beside the config and the dtype."""


def constructor_arguments(cls: type[Any], names: Iterable[str]) -> list[str]:
    """Return which keywords of `from_pretrained` are the constructor's and no config fields."""
    accepted = {*inspect.signature(cls.__init__).parameters, *KERAS_ARGUMENTS} - {"self", "config", "dtype"}
    fields = vars(cls.config_class())
    return [name for name in names if name in accepted and name not in fields]


def read_config(
    config_class: type[DistilBertConfig],
    config: DistilBertConfig | str | Path | None,
    checkpoint: Checkpoint,
    hub: Mapping[str, Any],
) -> DistilBertConfig:
    """Return the config that a caller gives, or that is where the caller says, or the checkpoint's."""
    if isinstance(config, DistilBertConfig):
        return config
    return checkpoint.config() if config is None else config_class.from_pretrained(config, **hub)


def attach(variables: Mapping[str, keras.Variable], initializers: Mapping[str, CheckpointInitializer]) -> None:
    """Make variables that have no values yet take a checkpoint's when they get them: at the end of the scope.

    Args:
        variables: Variables made within the `keras.StatelessScope` that is still open.
        initializers: Where some of them take their values from.
    """
    for name, values in initializers.items():
        variables[name]._initializer = values


def flush(variables: Mapping[str, keras.Variable], initializers: Mapping[str, CheckpointInitializer]) -> None:
    """Assign what was not taken, which is nothing unless Keras made the variables another way.

    Raises:
        CheckpointError: A tensor could not be read.
    """
    for name, values in initializers.items():
        if not values.called:
            variables[name].assign(values(variables[name].shape, variables[name].dtype))
        if values.error is not None:
            raise values.error
