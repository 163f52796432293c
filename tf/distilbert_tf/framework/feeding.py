"""Turning what a user feeds `fit` into what Keras takes: arrays by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.errors import InputError
from distilbert_tf.arrays import Tensor
from distilbert_tf.framework.per_output import Outputs

__all__ = ["as_arrays", "dense_labels", "is_ragged", "token_weights"]

Batch = tuple[Any, Any, Any]
"""Inputs, labels and sample weights; the last two may be None."""


def as_arrays(outputs: Outputs, x: Any, y: Any = None, sample_weight: Any = None, labels_apart: bool = False) -> Batch:
    """Return inputs, labels and sample weights as arrays, by name where they have names.

    Args:
        outputs: The outputs of the model with labels.
        x: A `BatchEncoding` or another mapping of arrays or lists; or an array, or a list of arrays.
        y: Labels: an array or a list; of several outputs a mapping by output or label name, or a list in their order.
        sample_weight: Weights likewise.
        labels_apart: Whether to take labels out of the inputs. With weights that is done: Keras would drop these.
    """
    if isinstance(x, Mapping):
        x = {name: value if name in outputs.aliases else as_array(value, name) for name, value in x.items()}
        inner_labels = {name: as_labels(outputs, x.pop(name), x) for name in tuple(x) if name in outputs.aliases}
        if y is None and (labels_apart or sample_weight is not None):
            y = inner_labels or None
        else:
            x |= inner_labels
    if y is not None:
        y = labels_by_output(outputs, y, x)
    if sample_weight is not None:
        sample_weight = weights_by_output(outputs, sample_weight, y)
    return x, y, sample_weight


def labels_by_output(outputs: Outputs, y: Any, x: Any) -> Any:
    """Return the labels of the only output, or an ordered dict of those of each."""
    if len(outputs.names) > 1:
        labels = outputs.values(y, "labels")
        return OrderedDict((name, as_labels(outputs, value, x)) for name, value in labels.items())
    if isinstance(y, Mapping):
        (y,) = outputs.renamed(y, "labels").values()
    elif is_list_of_one(y, x):
        (y,) = y
    return as_labels(outputs, y, x)


def is_list_of_one(y: Any, x: Any) -> bool:
    """Whether labels are a list with one array for all examples, and not with the labels of each example."""
    if not isinstance(y, (list, tuple)) or len(y) != 1 or not getattr(y[0], "shape", ()):
        return False
    return not isinstance(x, Mapping) or len(y[0]) == len(next(iter(x.values())))


def as_labels(outputs: Outputs, labels: Any, x: Any) -> Any:
    """Return labels as an array; those of tokens in rows as wide as the inputs, where what is added does not count."""
    ids = x.get("input_ids") if isinstance(x, Mapping) else None
    if is_ragged(labels):
        return dense_labels(labels, ids)
    if not outputs.token_labels or ids is None or isinstance(labels, Mapping):
        return as_array(labels, "labels")
    if hasattr(labels, "shape") and not isinstance(labels, np.ndarray):
        return labels
    width = ids.shape[-1]
    if any(np.ndim(row) == 1 and len(row) > width for row in labels):
        raise InputError(f"labels have more tokens than the inputs' {width}; truncate them as the inputs were")
    if isinstance(labels, np.ndarray) and (labels.dtype != object) and labels.shape[1] == width:
        return labels
    return np.asarray([[*row, *[IGNORE_INDEX] * (width - len(row))] for row in labels])  # (batch, seq)


def dense_labels(labels: Tensor, ids: Tensor | None) -> Tensor:
    """Return TensorFlow's ragged labels of tokens as a tensor (batch, seq) as wide as the ids."""
    width = None if ids is None else ids.shape[-1]
    return labels.to_tensor(default_value=IGNORE_INDEX, shape=[None, width])


def weights_by_output(outputs: Outputs, sample_weight: Any, y: Any) -> Any:
    """Return sample weights as an array, those of several outputs as one for each of the labels."""
    if len(outputs.names) == 1:
        if isinstance(sample_weight, Mapping):
            (sample_weight,) = outputs.renamed(sample_weight, "sample_weight").values()
        elif isinstance(sample_weight, (list, tuple)) and len(sample_weight) == 1 and np.ndim(sample_weight[0]):
            (sample_weight,) = sample_weight
        return as_array(sample_weight, "sample_weight")
    names = outputs.names if y is None else tuple(y)
    if not isinstance(sample_weight, Mapping) and not np.ndim(sample_weight[0]):
        return OrderedDict.fromkeys(names, as_array(sample_weight, "sample_weight"))
    weights = outputs.values(sample_weight, "sample_weight")
    ones = np.ones(len(next(iter(weights.values()))), "float32")
    return OrderedDict((name, as_array(weights.get(name, ones), "sample_weight")) for name in names)


def as_array(values: Any, name: str) -> Any:
    """Return values with a shape as they are, others as an array.

    Raises:
        InputError: Rows have different lengths.
    """
    if hasattr(values, "shape"):
        return values
    rows = list(values)
    if len({len(row) for row in rows if hasattr(row, "__len__")}) > 1:
        raise InputError(f"rows of {name} have different lengths; tokenize with padding=True")
    return np.asarray(rows)


def is_ragged(values: Any) -> bool:
    """Whether values are TensorFlow's ragged tensor."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return isinstance(values, tf.RaggedTensor)


def token_weights(labels: Any, class_weight: Mapping[int, float]) -> np.ndarray:
    """Return the weight of each label's class, 1 for one without: (batch, seq) -> (batch, seq) float32."""
    labels = np.asarray(labels)
    weights = np.ones(labels.shape, "float32")
    for label, weight in class_weight.items():
        weights[labels == label] = weight
    return weights
