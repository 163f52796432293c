"""Streams of batches that Keras is fed with: generators, `keras.utils.PyDataset` and `tf.data`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

import keras

from distilbert_tf.framework.feeding import as_arrays
from distilbert_tf.framework.per_output import Outputs

__all__ = [
    "FedDataset",
    "from_generator",
    "from_loader",
    "is_tf_dataset",
    "is_torch_loader",
    "weighted_by_class",
    "with_labels_apart",
]


def as_batch(outputs: Outputs, batch: Any) -> tuple[Any, ...]:
    """Return one batch of a stream as a tuple: inputs, and labels and weights where it has them."""
    arrays = as_arrays(outputs, *keras.utils.unpack_x_y_sample_weight(batch))
    return tuple(part for part in arrays if part is not None)


def from_generator(outputs: Outputs, generator: Iterator[Any]) -> Any:
    """Return what Keras takes for a generator; with TensorFlow a `tf.data.Dataset`.

    Keras holds all batches to the sizes that the first two have in common: rows padded to the longest of each batch
    would then fail somewhere in the epoch.
    """
    batches = (as_batch(outputs, batch) for batch in generator)
    start = next(batches, None)
    if start is None or keras.backend.backend() != "tensorflow":
        return batches if start is None else (batch for batch in chain([start], batches))
    return from_batches(lambda: chain([start], batches), start)


def from_loader(outputs: Outputs, loader: Any) -> Any:
    """Return what Keras takes for a `torch.utils.data.DataLoader`; with TensorFlow a `tf.data.Dataset`."""
    if keras.backend.backend() != "tensorflow":
        return loader

    def batches() -> Iterator[Any]:
        return (as_batch(outputs, batch) for batch in loader)

    return from_batches(batches, next(batches()))


def from_batches(batches: Callable[[], Iterator[Any]], first: Any) -> Any:
    """Return a `tf.data.Dataset` of batches of any size that look like the first."""
    import tensorflow as tf

    specs = tf.nest.map_structure(lambda value: open_spec(tf.convert_to_tensor(value)), first)
    return tf.data.Dataset.from_generator(batches, output_signature=specs)


def is_torch_loader(x: Any) -> bool:
    """Whether data is a `torch.utils.data.DataLoader`."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.utils.data.DataLoader)


def open_spec(tensor: Any) -> Any:
    """Return the spec of tensors of this rank and dtype, of any size."""
    import tensorflow as tf

    return tf.TensorSpec([None] * len(tensor.shape), tensor.dtype)


class FedDataset(keras.utils.PyDataset):
    """A `keras.utils.PyDataset` with its batches as Keras takes them."""

    def __init__(self, outputs: Outputs, dataset: keras.utils.PyDataset) -> None:
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self.outputs, self.dataset = outputs, dataset

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return as_batch(self.outputs, self.dataset[index])

    @property
    def num_batches(self) -> int | None:
        """How many batches an epoch has."""
        num_batches: int | None = self.dataset.num_batches
        return num_batches

    def on_epoch_begin(self) -> None:
        """Tell the dataset that an epoch begins."""
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tell the dataset that an epoch has ended."""
        self.dataset.on_epoch_end()


def is_tf_dataset(x: Any) -> bool:
    """Whether data is a `tf.data.Dataset`."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return isinstance(x, tf.data.Dataset)


def with_labels_apart(dataset: Any) -> Any:
    """Return a dataset whose "labels" stand beside the inputs, where they stood among them."""
    import tensorflow as tf

    def apart(*batch: Any) -> tuple[Any, ...]:
        inputs = dict(batch[0])
        return inputs, inputs.pop("labels"), *batch[2:]

    spec = dataset.element_spec
    spec = spec if isinstance(spec, tuple) else (spec,)
    alone = len(spec) == 1 or spec[1] is None or isinstance(spec[1], tf.NoneTensorSpec)
    return dataset.map(apart) if alone and isinstance(spec[0], Mapping) and "labels" in spec[0] else dataset


def weighted_by_class(dataset: Any, class_weight: Mapping[int, float]) -> Any:
    """Return a dataset of inputs, labels of tokens and, for each of these, the weight of its class; 1 without one."""
    import tensorflow as tf

    classes, weights = tf.constant(list(class_weight), tf.int64), tf.constant(list(class_weight.values()), tf.float32)

    def weighted(x: Any, y: Any) -> tuple[Any, Any, Any]:
        same = tf.equal(tf.cast(y, tf.int64)[..., None], classes)  # (batch, seq, classes)
        factors = tf.where(same, weights, 0.0)
        return x, y, tf.where(tf.reduce_any(same, -1), tf.reduce_sum(factors, -1), 1.0)

    return dataset.map(weighted)
