"""The half of a training run that needs Keras: steps, evaluation, and all state as NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

import distilbert_tf
from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_common.training import Arrays, EngineOptions, MicroBatch, StepResult, parameter_rules
from distilbert_common.training_state import (
    PARAMETERS,
    check_float32,
    check_loss_options,
    check_state,
    initial_weights,
    new_weights,
)
from distilbert_tf import losses
from distilbert_tf.arrays import Tensor
from distilbert_tf.distribution import Processes, choose_device, join_processes
from distilbert_tf.framework.precision import compute_in
from distilbert_tf.framework.random_numbers import set_seeds
from distilbert_tf.framework.stepping import stepping
from distilbert_tf.inventory import arrays_to_save, in_layout, named_weights, shapes
from distilbert_tf.optimization import AdamW

__all__ = ["Engine", "load_model"]

Flags = tuple[tuple[str, Any], ...]
"""Arguments that are no arrays, by name."""


def load_model(
    head: str,
    source: str | Path,
    *,
    config: DistilBertConfig | None = None,
    dtype: str | None = None,
    seed: int = 0,
    **options: Any,
) -> Any:
    """Load a model to be trained or used: a checkpoint of any dialect, with its head or a new one.

    Args:
        head: The end of the class name, as "ForSequenceClassification"; "Model" for the bare model.
        source: A directory, a weights file, or a hub id.
        config: The config to use instead of the checkpoint's, such as one with other labels; a head of another size
            is then new.
        dtype: The dtype of the parameters, such as "float32"; the checkpoint's own when None.
        seed: What the values of a new head depend on; they are the same in every framework.
        **options: Further ones of `from_pretrained`.

    Raises:
        CheckpointError: There is no such checkpoint, or its backbone does not fit.
    """
    join_processes()
    cls = getattr(distilbert_tf, f"TFDistilBert{head}")
    if config is not None:
        options["config"] = config
    model = cls.from_pretrained(source, dtype=dtype, ignore_mismatched_sizes=config is not None, **options)
    fresh = new_weights(model.load_report)
    weights = {name: variable for name, _, variable in named_weights(model) if name in fresh}
    new_shapes = {name: shape for name, shape in shapes(model).items() if name in fresh}
    for name, values in initial_weights(new_shapes, model.config, seed).items():
        weights[name].assign(in_layout(name, values))
    return model


class Engine:
    """The framework half of a training run, as `distilbert_common.training.Engine` describes it.

    Attributes:
        model: The model; with options its parameters are float32.
        options: How it is trained; None where it is only evaluated.
        rank: The number of this process.
        world: How many processes train together.
    """

    def __init__(self, model: Any, options: EngineOptions | None = None, device: str = "auto") -> None:
        """Place a model, and make what its training needs.

        Args:
            model: One of the six, or the user's own with a DistilBERT in it.
            options: How to train it; None to evaluate it only.
            device: "cpu", "gpu", or "auto" for the GPU if there is one.

        Raises:
            DeviceError: There is no such device.
            InputError: Options do not fit the model, or its parameters are not float32, or Keras has another backend
                than TensorFlow and JAX.
        """
        self.model, self.options = model, options
        self._processes = Processes()
        self._device = choose_device(device)
        self.rank, self.world = self._processes.rank, self._processes.world
        model.build_all()
        self._stepping = stepping(options.compile if options else None)
        with keras.device(self._device):
            self._optimizer = None if options is None else self._prepare(options)
        self._outputs = self._stepping.outputs(model)

    def _prepare(self, options: EngineOptions) -> AdamW:
        """Get the model ready for training, and return what changes its parameters."""
        check_loss_options(self.model.head, self.model.config, options)
        variables = {name: variable for name, _, variable in named_weights(self.model)}
        for variable in variables.values():
            check_float32(variable.dtype)
        if options.gradient_checkpointing:
            self.model.gradient_checkpointing_enable()
        if options.precision != "float32":
            compute_in(self.model, options.precision)
        rules = parameter_rules(list(variables), options)
        self._processes.copy_from_first(list(variables.values()))
        trained = {n: v for n, v in variables.items() if v.trainable and rules[n].rate}
        ids = {id(variable) for variable in trained.values()}
        others = [variable for variable in self.model.variables if id(variable) not in ids]
        self._gradients = self._stepping.gradients(self._loss, list(trained.values()), others)
        return AdamW(trained, rules, options, self._stepping)

    def train_step(self, micro_batches: Sequence[MicroBatch], step: int, learning_rate: float) -> StepResult:
        """Change the weights once; a step whose gradients are not finite changes nothing but the scale of the loss.

        Args:
            micro_batches: Those of this process; the shares of all processes' add up to 1.
            step: The number of the step, from 0, which random numbers depend on.
            learning_rate: That of the head's parameters.

        Returns:
            The loss of the step, over all processes, and the norm of its gradients.

        Raises:
            InputError: The engine was made without options, or an id or a label is outside its range.
        """
        options, optimizer = self._training()
        total: list[Tensor] = []
        with keras.device(self._device):
            for number, micro_batch in enumerate(micro_batches):
                set_seeds(self.model, options.seed, step, self.rank, number)
                inputs = {**micro_batch.inputs, **micro_batch.labels}
                self.model.check(**inputs)
                loss, gradients = self._gradients(*split(inputs), optimizer.loss_scale * micro_batch.share)
                total = [*map(ops.add, total, (loss, *gradients))] if total else [loss, *gradients]
            loss, *gradients = self._processes.sum(total)
            loss = loss / optimizer.loss_scale
            return StepResult(loss, optimizer.update(gradients, learning_rate))

    def _training(self) -> tuple[EngineOptions, AdamW]:
        """Return what only training needs."""
        if self.options is None or self._optimizer is None:
            raise InputError("the engine was made to evaluate; give Engine(model, options) to train")
        return self.options, self._optimizer

    def _loss(self, arrays: Mapping[str, Tensor], flags: Flags) -> Tensor:
        """Return the mean loss of a micro batch."""
        options, inputs = self.options or EngineOptions(), {**arrays, **dict(flags)}
        if options.label_smoothing or options.class_weights:
            labels = inputs.pop("labels")
            logits = self.model(**inputs, training=True, return_dict=True).logits
            return losses.smoothed_cross_entropy(logits, labels, options.label_smoothing, options.class_weights)
        if self.model.head == "ForMaskedLM":
            inputs["loss_only"] = True
        return self.model(**inputs, training=True, return_dict=True).loss

    def eval_step(self, inputs: Mapping[str, Any]) -> Arrays:
        """Return the outputs by name, such as `logits`, as float32 arrays, without dropout.

        Args:
            inputs: The model's arguments; with labels among them, the outputs hold `loss`.
        """
        self.model.check(**inputs)
        with keras.device(self._device):
            outputs = self._outputs(*split(inputs))
        return {
            name: ops.convert_to_numpy(ops.cast(value, "float32"))
            for name, value in outputs.items()
            if not isinstance(value, tuple)
        }

    def state(self) -> Arrays:
        """Return all that the next step depends on, as copies: parameters, moments, count of updates, loss scale."""
        _, optimizer = self._training()
        arrays = arrays_to_save(self.model)
        return {PARAMETERS + name: np.array(array) for name, array in arrays.items()} | optimizer.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned, here or in another framework, so that the next step is the same.

        Raises:
            InputError: The state is not one of such a model with such options.
        """
        _, optimizer = self._training()
        check_state(state, shapes(self.model), optimizer.parameters)
        for name, _, variable in named_weights(self.model):
            variable.assign(np.array(in_layout(name, state[PARAMETERS + name])))
        optimizer.restore(state)


def split(inputs: Mapping[str, Any]) -> tuple[dict[str, Tensor], Flags]:
    """Return the arguments that are arrays, as tensors, and the others."""
    arrays = {name: ops.convert_to_tensor(value) for name, value in inputs.items() if isinstance(value, np.ndarray)}
    return arrays, tuple(sorted((name, value) for name, value in inputs.items() if name not in arrays))
