"""Keras' `fit`, `evaluate` and `predict` on models whose loss comes with the model, or with `compile`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from distilbert_common import ModelOutput
from distilbert_common.errors import InputError
from distilbert_tf.arrays import Tensor
from distilbert_tf.calling import bind


class TaskTraining:
    """The loss and the metrics of a task model.

    `compile()` without a loss takes the model's own, with labels among the inputs or beside them; `compile(loss=...)`
    gives labels and logits to a Keras loss. Metrics see labels and logits.
    """

    logit_names: ClassVar[tuple[str, ...]] = ("logits",)
    label_names: ClassVar[tuple[str, ...]] = ("labels",)

    def task_loss(self, *logits_and_labels: Tensor, segment_ids: Tensor | None = None) -> Tensor:
        """Return the model's own loss of its logits and labels, in the order of `logit_names` and `label_names`."""
        raise InputError(f"{type(self).__name__} has no loss of its own; give one: compile(loss=...)")

    def train_step(self, *state_and_data: Any) -> Any:
        """Train on one batch; without logits where nothing asks for them."""
        *state, data = state_and_data  # a state comes with Keras' JAX backend only
        return super().train_step(*state, self.without_logits(data))

    def test_step(self, *state_and_data: Any) -> Any:
        """Evaluate one batch; without logits where nothing asks for them."""
        *state, data = state_and_data
        return super().test_step(*state, self.without_logits(data))

    def without_logits(self, data: Any) -> Any:
        """Ask for the loss alone where the model has a cheaper one and neither a loss nor a metric takes logits."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        compiled = self.loss is not None or self._compile_metrics is not None or sample_weight is not None
        cheaper = "return_logits" in inspect.signature(self.call).parameters
        labelled = y is None and isinstance(x, Mapping) and set(self.label_names) <= x.keys()
        return data if compiled or not (cheaper and labelled) else ({**x, "return_logits": False},)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """Return the loss of one batch."""
        if self.loss is None and sample_weight is not None:
            raise InputError("the model's own loss takes no sample or class weights; give one: compile(loss=...)")
        if self.loss is None and y is None and isinstance(y_pred, ModelOutput) and "loss" in y_pred:
            return ops.sum(ops.stack([y_pred["loss"], *self.losses]))
        labels, logits = self.labels(x, y), self.logits(x, y_pred)
        if self.loss is not None:
            return super().compute_loss(x, single(labels), single(logits), sample_weight, training)
        segment_ids = bind(self.call, (x,), {}).get("segment_ids")
        return ops.sum(ops.stack([self.task_loss(*logits, *labels, segment_ids=segment_ids), *self.losses]))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Tensor]:
        """Update the metrics with one batch and return them."""
        if self._compile_metrics is None:
            return super().compute_metrics(x, y, y_pred, sample_weight)
        return super().compute_metrics(x, single(self.labels(x, y)), single(self.logits(x, y_pred)), sample_weight)

    def predict_step(self, *state_and_data: Any) -> Any:
        """Return the output of one batch without its loss, which has no place among arrays of examples."""
        *state, data = state_and_data  # a state comes with Keras' JAX backend only
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        inputs = {name: value for name, value in bind(self.call, (x,), {}).items() if name not in self.label_names}
        return super().predict_step(*state, (inputs,))

    def labels(self, x: Any, y: Any) -> tuple[Tensor, ...]:
        """Return the labels in the order of `label_names`, from y, or from x where y is None."""
        if not self.label_names:
            return (y,)
        given = bind(self.call, (x,), {}) if y is None else y
        if len(self.label_names) == 1 and not isinstance(given, Mapping):
            given = (given,)
        if isinstance(given, Mapping):
            given = tuple(given[name] for name in self.label_names if name in given)
        if len(given) != len(self.label_names):
            raise InputError(f"labels are missing; give {' and '.join(self.label_names)} with the inputs, or as y")
        return tuple(given)

    def logits(self, x: Any, y_pred: Any) -> tuple[Tensor, ...]:
        """Return the logits of an output, which is a tuple where the config has no `return_dict`."""
        if isinstance(y_pred, ModelOutput):
            return tuple(y_pred[name] for name in self.logit_names)
        start = int(bool(self.label_names) and set(self.label_names) <= set(bind(self.call, (x,), {})))
        return tuple(y_pred[start : start + len(self.logit_names)])  # the loss comes first


def single(values: tuple[Tensor, ...]) -> Any:
    """Return the only value, or all of them."""
    return values[0] if len(values) == 1 else values
