"""Keras' training, evaluation and prediction steps on models whose loss comes with the model, or with `compile`."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from distilbert_common import ModelOutput
from distilbert_common.errors import InputError
from distilbert_tf.arrays import Tensor
from distilbert_tf.framework import replicas
from distilbert_tf.framework.calling import bind
from distilbert_tf.framework.feeding import dense_labels, is_ragged
from distilbert_tf.framework.fitting import Fitting
from distilbert_tf.framework.per_output import PerOutput
from distilbert_tf.losses import Losses, mean_loss, mean_per_example

__all__ = ["TaskTraining"]


class TaskTraining(Fitting):
    """The loss and the metrics of a task model.

    `compile()` without a loss takes the model's own, with labels among the inputs or beside them; `compile(loss=...)`
    gives labels and logits to a Keras loss. Metrics see labels and logits.
    """

    _compile_loss: Any
    _compile_metrics: Any

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool | None = False,
        steps_per_execution: int | None = 1,
        **options: Any,
    ) -> None:
        """Prepare training, as `keras.Model.compile`.

        Args:
            optimizer: As in Keras.
            loss: None for the model's own; a Keras loss in any form that Keras takes, for each output by name or in
                order, or for all.
            loss_weights: The weight of each output's loss.
            metrics: Metrics of labels and logits, for each output by name or in order, or for all.
            weighted_metrics: Metrics that heed sample weights.
            run_eagerly: As in Keras; None is False.
            steps_per_execution: As in Keras; None is 1.
            **options: `jit_compile` and `auto_scale_loss`, as in Keras.
        """
        if loss_weights is not None and not is_numbers(loss_weights):  # Keras 2 has the metrics here
            loss_weights, metrics = metrics, loss_weights
        outputs = self.outputs_with_labels
        losses = None if self.is_own_loss(loss) else outputs.losses(loss)
        self.loss = self._compile_loss = self._compile_metrics = None  # Keras keeps those of an earlier call
        super().compile(
            optimizer,
            loss=losses,
            loss_weights=outputs.loss_weights(loss_weights, losses),
            metrics=outputs.metrics(metrics),
            weighted_metrics=outputs.metrics(weighted_metrics),
            run_eagerly=bool(run_eagerly),
            steps_per_execution=steps_per_execution or 1,
            **options,
        )

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile as a saved model was, from what `get_compile_config` returned."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def is_own_loss(self, loss: Any) -> bool:
        """Whether a loss is a method of this model, as programs of transformers 4.x name its own loss."""
        loss_names = ("compute_loss", "hf_compute_loss")
        return getattr(loss, "__self__", None) is self and getattr(loss, "__name__", None) in loss_names

    def task_losses(self, *logits_and_labels: Tensor, segment_ids: Tensor | None = None) -> tuple[Losses, ...]:
        """Return the losses of each output, of logits and labels in the order of `logit_names` and `label_names`."""
        raise InputError(f"{type(self).__name__} has no loss of its own; give one: compile(loss=...)")

    def task_loss(
        self,
        *logits_and_labels: Tensor,
        segment_ids: Tensor | None = None,
        sample_weight: tuple[Tensor | None, ...] | None = None,
    ) -> Tensor:
        """Return the model's own loss: the mean of its outputs' means; `sample_weight` has one entry for each."""
        losses = self.task_losses(*logits_and_labels, segment_ids=segment_ids)
        weights = sample_weight or (None,) * len(losses)
        means = [mean_loss(*loss_and_weight) for loss_and_weight in zip(losses, weights, strict=True)]
        return sum(means[1:], means[0]) / len(means)

    def hf_compute_loss(self, labels: Any, logits: Any) -> Tensor:
        """Return the loss as transformers' method of this name does: of each example, or (1,) where tokens have labels.

        Args:
            labels: The labels; of question answering a dict of `start_position` and `end_position`.
            logits: The logits; of question answering those of start and end.
        """
        names = {"start_position": "start_positions", "end_position": "end_positions"}
        if isinstance(labels, Mapping):
            labels = {names.get(name, name): value for name, value in labels.items()}
        outputs = self.outputs_with_labels
        logits, labels = outputs.values(logits, "logits"), outputs.values(labels, "labels")
        losses = self.task_losses(*logits.values(), *labels.values())
        if outputs.token_labels:
            return ops.reshape(mean_loss(losses[0]), (1,))
        each = [mean_per_example(loss) for loss in losses]  # (batch,) for each output
        return sum(each[1:], each[0]) / len(each)

    def make_train_function(self, force: bool = False) -> Any:
        """Return what runs a training step, with the optimizer's variables made before.

        TensorFlow traces a step twice that makes variables, as Keras' does when its optimizer has none yet.
        """
        optimizer = self.optimizer
        own_step = type(self).train_step is TaskTraining.train_step  # another may train other variables
        if self.built and own_step and optimizer is not None and not optimizer.built:
            with keras.name_scope(optimizer.name):
                optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def train_step(self, *state_and_data: Any) -> Any:
        """Train on one batch; without logits where nothing asks for them."""
        *state, data = state_and_data  # a state comes with Keras' JAX backend only
        return super().train_step(*state, self.prepared_batch(data))

    def test_step(self, *state_and_data: Any) -> Any:
        """Evaluate one batch; without logits where nothing asks for them."""
        *state, data = state_and_data
        return super().test_step(*state, self.prepared_batch(data))

    def prepared_batch(self, data: Any) -> tuple[Any, Any, Any]:
        """Return inputs, labels and weights of one batch, the labels among the inputs where the model uses them there.

        The model's own loss comes with its output, as in transformers, except where there are weights; a Keras loss
        takes labels that the model does not see.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        inputs = bind(self.call, (x,), {})
        labels = self.labels_by_output(inputs, y)
        inputs = {name: value for name, value in inputs.items() if name not in self.label_names}
        if self.loss is None and sample_weight is None and 0 < len(self.label_names) == len(labels):
            inputs |= dict(zip(self.label_names, labels.values(), strict=True))
            cheaper = "loss_only" in inspect.signature(self.call).parameters and self._compile_metrics is None
            inputs |= {"loss_only": True} if cheaper else {}
        return inputs, labels or None, sample_weight

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """Return the loss of one batch; in a replica its share of the loss of all replicas."""
        inputs = bind(self.call, (x,), {})
        if self.loss is None and sample_weight is None and isinstance(y_pred, ModelOutput) and "loss" in y_pred:
            return self.with_added_losses(y_pred["loss"])
        labels = self.needed_labels(inputs, y)
        logits, weights = self.logits_by_output(inputs, y_pred, labels), self.weights_by_output(sample_weight, labels)
        if self.loss is not None:
            return super().compute_loss(x, *map(self.unwrapped, (labels, logits, weights)), training)
        options = {} if weights is None else {"sample_weight": tuple(weights.values())}
        segment_ids = inputs.get("segment_ids")
        loss = self.task_loss(*logits.values(), *labels.values(), segment_ids=segment_ids, **options)
        return self.with_added_losses(loss)

    def with_added_losses(self, loss: Tensor) -> Tensor:
        """Return a loss with those of regularizers and `add_loss`."""
        return ops.sum(ops.stack([loss, *(replicas.share(ops.sum(added)) for added in self.losses)]))

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Tensor]:
        """Update the metrics with one batch and return them."""
        batch = (x, y, y_pred, sample_weight)
        if self._compile_metrics is not None:
            inputs = bind(self.call, (x,), {})
            labels = self.needed_labels(inputs, y)
            logits = self.logits_by_output(inputs, y_pred, labels)
            weights = self.weights_by_output(sample_weight, labels)
            batch = (x, *map(self.unwrapped, (labels, logits, weights)))
        results: dict[str, Tensor] = super().compute_metrics(*batch)
        return results

    def predict_step(self, *state_and_data: Any) -> Any:
        """Return the output of one batch without its loss, which has no place among arrays of examples."""
        *state, data = state_and_data  # a state comes with Keras' JAX backend only
        x, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        inputs = {name: value for name, value in bind(self.call, (x,), {}).items() if name not in self.label_names}
        return super().predict_step(*state, (inputs,))

    def labels_by_output(self, inputs: Mapping[str, Any], y: Any) -> PerOutput:
        """Return the labels that there are, by output: from y, or from the inputs where y is None."""
        labels = {name: inputs[name] for name in self.label_names if name in inputs} if y is None else y
        labels = self.outputs_with_labels.values(labels, "labels")
        if self._compile_metrics is None:  # Keras takes labels of those outputs that something is computed of
            labels = {name: value for name, value in labels.items() if name in self.outputs_with_loss}
        ids = inputs.get("input_ids")
        return OrderedDict(
            (name, dense_labels(value, ids) if is_ragged(value) else value) for name, value in labels.items()
        )

    def needed_labels(self, inputs: Mapping[str, Any], y: Any) -> PerOutput:
        """Return the labels by output.

        Raises:
            InputError: An output that the loss takes has none.
        """
        labels = self.labels_by_output(inputs, y)
        if not set(self.outputs_with_loss) <= set(labels):
            names = " and ".join(self.label_names) or "them"
            raise InputError(f"labels are missing; give {names} with the inputs, or as y")
        return labels

    def logits_by_output(self, inputs: Mapping[str, Any], y_pred: Any, labels: PerOutput) -> PerOutput:
        """Return the logits that have labels, of an output, a tuple (the loss first where it has one), or a tensor.

        Raises:
            InputError: An output with labels is not among what the model returns.
        """
        if not isinstance(y_pred, Mapping):
            values = (y_pred,) if hasattr(y_pred, "shape") else y_pred
            start = int(len(values) > 1 and bool(self.label_names) and set(self.label_names) <= set(inputs))
            y_pred = dict(zip(self.logit_names, values[start:], strict=False))
        absent = [name for name in labels if name not in y_pred]
        if absent:
            raise InputError(f"{type(self).__name__} returns {', '.join(y_pred)}, not {absent[0]}; see its logit_names")
        return OrderedDict((name, y_pred[name]) for name in labels)

    def weights_by_output(self, sample_weight: Any, labels: PerOutput) -> PerOutput | None:
        """Return the sample weights by output: those of each, or the same for all; None where there are none."""
        if sample_weight is None:
            return None
        if not isinstance(sample_weight, (Mapping, list, tuple)):
            return OrderedDict.fromkeys(labels, sample_weight)
        weights = self.outputs_with_labels.values(sample_weight, "sample_weight")
        return OrderedDict((name, weights.get(name)) for name in labels)

    def unwrapped(self, values: PerOutput | None) -> Any:
        """Return the only value of a model with one output, or those of all."""
        return values[self.logit_names[0]] if values is not None and len(self.logit_names) == 1 else values


def is_numbers(values: Any) -> bool:
    """Whether loss weights are numbers: one, or one for each output."""
    if isinstance(values, Mapping):
        values = list(values.values())
    return all(isinstance(value, (int, float)) for value in (values if isinstance(values, (list, tuple)) else [values]))
