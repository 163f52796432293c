"""`fit`, `evaluate`, `predict` and their like on a batch: Keras' own, fed with what a tokenizer returns.

Keras takes arrays, and dicts of arrays. A `BatchEncoding`, lists of numbers, labels and weights in any of the forms
that Keras documents become that here, also those that a generator or a `keras.utils.PyDataset` yields.
"""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from collections.abc import Mapping
from types import GeneratorType
from typing import Any, ClassVar

import keras

from distilbert_common.errors import InputError
from distilbert_tf.framework.calling import names_of
from distilbert_tf.framework.datasets import Columns, batched, rows_of
from distilbert_tf.framework.feeding import as_arrays, token_weights
from distilbert_tf.framework.per_output import Outputs
from distilbert_tf.framework.streams import (
    FedDataset,
    from_generator,
    from_loader,
    is_tf_dataset,
    is_torch_loader,
    weighted_by_class,
    with_labels_apart,
)

__all__ = ["Fitting"]

TOKEN_HEADS = ("ForMaskedLM", "ForTokenClassification")
"""The heads whose labels are one for each token."""

Arguments = dict[str, Any]


def fed(method: Any) -> Any:
    """Return a method of `keras.Model`, its arguments as they are, that takes what a tokenizer returns too."""

    @functools.wraps(method)
    def call(self: Fitting, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(Fitting, self), method.__name__)(**self.fed_arguments(method, args, kwargs))

    return call


class Fitting(keras.Model):
    """The calls of `keras.Model` that take data; arguments and results as there."""

    head: ClassVar[str | None]
    loss: Any
    logit_names: ClassVar[tuple[str, ...]] = ("logits",)
    label_names: ClassVar[tuple[str, ...]] = ("labels",)

    @property
    def outputs_with_labels(self) -> Outputs:
        """The outputs that a loss takes, and their labels."""
        token_labels = self.head in TOKEN_HEADS
        return Outputs(self.logit_names, self.label_names, self.outputs_with_loss, token_labels=token_labels)

    @property
    def outputs_with_loss(self) -> tuple[str, ...]:
        """The outputs that the loss takes."""
        return tuple(self.loss) if isinstance(self.loss, OrderedDict) else self.logit_names

    fit = fed(keras.Model.fit)
    evaluate = fed(keras.Model.evaluate)
    predict = fed(keras.Model.predict)
    train_on_batch = fed(keras.Model.train_on_batch)
    test_on_batch = fed(keras.Model.test_on_batch)
    predict_on_batch = fed(keras.Model.predict_on_batch)

    def fed_arguments(self, method: Any, args: tuple[Any, ...], kwargs: Arguments) -> Arguments:
        """Return the arguments of one call by name, the data as Keras takes it.

        Raises:
            InputError: There are class weights for several outputs.
        """
        arguments = inspect.signature(method).bind(self, *args, **kwargs).arguments
        arguments = {name: value for name, value in arguments.items() if name not in ("self", "kwargs")} | dict(
            arguments.get("kwargs", {})
        )
        class_weight = arguments.get("class_weight")
        if class_weight is not None and len(self.logit_names) > 1:
            raise InputError("class_weight is for models with one output; give sample_weight, for each output its own")
        x, y, sample_weight = (arguments.get(name) for name in ("x", "y", "sample_weight"))
        x, y, sample_weight = self.as_keras_data(x, y, sample_weight, labels_apart=class_weight is not None)
        if class_weight is not None and is_tf_dataset(x):
            x = with_labels_apart(x)
        if class_weight is not None and sample_weight is None and self.outputs_with_labels.token_labels:
            x, sample_weight = self.weighted_tokens(x, y, class_weight)
            arguments["class_weight"] = None
        fed = {"x": x, "y": y, "sample_weight": sample_weight}
        arguments |= {name: value for name, value in fed.items() if value is not None}
        if arguments.get("validation_data") is not None:
            batch = self.as_keras_data(*keras.utils.unpack_x_y_sample_weight(arguments["validation_data"]))
            arguments["validation_data"] = keras.utils.pack_x_y_sample_weight(*batch)
        return arguments

    def as_keras_data(
        self, x: Any, y: Any = None, sample_weight: Any = None, labels_apart: bool = False
    ) -> tuple[Any, Any, Any]:
        """Return inputs, labels and weights as Keras takes them; a stream of batches is fed batch by batch."""
        if isinstance(x, GeneratorType):
            return from_generator(self.outputs_with_labels, x), y, sample_weight
        if is_torch_loader(x):
            return from_loader(self.outputs_with_labels, x), y, sample_weight
        if isinstance(x, keras.utils.PyDataset):
            return FedDataset(self.outputs_with_labels, x), y, sample_weight
        if x is not None and not isinstance(x, (Mapping, list, tuple)) and not hasattr(x, "shape"):
            return x, y, sample_weight  # a stream that Keras feeds itself
        return as_arrays(self.outputs_with_labels, x, y, sample_weight, labels_apart)

    def weighted_tokens(self, x: Any, y: Any, class_weight: Mapping[int, float]) -> tuple[Any, Any]:
        """Return a stream with the weight of each token's class in it; or inputs, and the weights beside them."""
        if is_tf_dataset(x):
            return weighted_by_class(x, class_weight), None
        return x, token_weights(y, class_weight)

    def prepare_tf_dataset(
        self,
        dataset: Any,
        batch_size: int = 8,
        shuffle: bool = True,
        tokenizer: Any = None,
        collate_fn: Any = None,
        collate_fn_args: Mapping[str, Any] | None = None,
        drop_remainder: bool | None = None,
        prefetch: bool = True,
    ) -> Any:
        """Return a `tf.data.Dataset` of batches for `fit`, with the columns that the model takes.

        Args:
            dataset: A `datasets.Dataset`, a list of rows by column name, or a mapping of columns.
            batch_size: How many rows a batch has.
            shuffle: Whether rows come in another random order in each epoch.
            tokenizer: What pads the rows of a batch to one length; not used beside `collate_fn`.
            collate_fn: Turns a list of rows into a batch; see `distilbert_common.collators`.
            collate_fn_args: Further arguments of `collate_fn`.
            drop_remainder: Whether a last, smaller batch is left out; as `shuffle` when None.
            prefetch: Whether batches are made ahead.

        Returns:
            Batches of inputs, or of inputs and labels where rows have labels.

        Raises:
            InputError: The data set has another form, or rows of different lengths and nothing that pads them.
        """
        from distilbert_common.collators import DataCollatorWithPadding, DefaultDataCollator

        collator = DefaultDataCollator() if tokenizer is None else DataCollatorWithPadding(tokenizer)
        collate = functools.partial(collate_fn or collator, **(collate_fn_args or {}))
        inputs = names_of(self.call) - set(self.label_names)
        columns = Columns(tuple(inputs), self.label_names)
        rows = rows_of(dataset, inputs | set(self.label_names) | {"label", "label_ids"})
        drop = shuffle if drop_remainder is None else drop_remainder
        batches = batched(rows, collate, columns, batch_size, shuffle, drop)
        return batches.prefetch(-1) if prefetch else batches
