"""The half of a training run that needs JAX: steps, evaluation, and all state as NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from numpy.typing import NDArray

import distilbert_flax
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
from distilbert_flax import losses
from distilbert_flax.arrays import to_jax
from distilbert_flax.checks import check_values
from distilbert_flax.distribution import Processes, choose_devices, join_processes
from distilbert_flax.framework.functional import nested
from distilbert_flax.framework.precision import computing_in
from distilbert_flax.framework.variables import shape_of
from distilbert_flax.inventory import arrays_of, canonical_shape, in_layout, named_variables, paths_of
from distilbert_flax.optimization import AdamW, Tree

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
    cls = getattr(distilbert_flax, f"FlaxDistilBert{head}")
    if config is not None:
        options["config"] = config
    model = cls.from_pretrained(source, param_dtype=dtype, ignore_mismatched_sizes=config is not None, **options)
    fresh = new_weights(model.load_report)
    weights = {name: variable for name, variable in named_variables(model).items() if name in fresh}
    shapes = {name: canonical_shape(name, shape_of(variable).shape) for name, variable in weights.items()}
    for name, values in initial_weights(shapes, model.config, seed).items():
        weights[name].set_value(to_jax(in_layout(name, values), shape_of(weights[name]).dtype))
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
            model: One of the six, or the user's own with a DistilBERT in it. Training takes over the memory of its
                parameters: arrays that were read of them before are gone after a step.
            options: How to train it; None to evaluate it only.
            device: "cpu", "gpu", or "auto" for JAX's default.

        Raises:
            DeviceError: There is no such device.
            InputError: Options do not fit the model, or its parameters are not float32.
        """
        join_processes()
        self.model, self.options = model, options
        self._processes = Processes(choose_devices(device))
        self.rank, self.world = self._processes.rank, self._processes.world
        self._set_values({name: variable.get_raw_value() for name, variable in named_variables(model).items()})
        self._optimizer = None if options is None else self._prepare(options)
        self._paths = paths_of(model)
        self._computing = computing_in(model, options.precision if options else None)
        self._gradients = jax.jit(jax.value_and_grad(self._loss), static_argnames="flags")

    def _prepare(self, options: EngineOptions) -> AdamW:
        """Get the model ready for training, and return what changes its parameters."""
        check_loss_options(self.model._table_head, self.model.config, options)
        variables = named_variables(self.model)
        for variable in variables.values():
            check_float32(str(shape_of(variable).dtype))
        if options.gradient_checkpointing:
            self.model.gradient_checkpointing_enable()
        self._set_values(self._processes.copy_from_first({n: v.get_raw_value() for n, v in variables.items()}))
        rules = parameter_rules(list(variables), options)
        trained = {n: v for n, v in variables.items() if isinstance(v, nnx.Param) and rules[n].rate}
        return AdamW(trained, rules, options, self._processes.everywhere)

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
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(options.seed), step), self.rank)
        frozen, total = self._frozen(optimizer), None
        for number, micro_batch in enumerate(micro_batches):
            arrays, flags = self._split(micro_batch)
            factor = optimizer.loss_scale * micro_batch.share
            own_key = jax.random.fold_in(key, number)
            result = self._gradients(optimizer.values(), frozen, arrays, own_key, factor, flags=flags)
            total = result if total is None else added(total, result)
        loss, gradients = self._processes.sum(total)
        loss = loss / optimizer.loss_scale
        return StepResult(loss, optimizer.update(gradients, learning_rate))

    def _training(self) -> tuple[EngineOptions, AdamW]:
        """Return what only training needs."""
        if self.options is None or self._optimizer is None:
            raise InputError("the engine was made to evaluate; give Engine(model, options) to train")
        return self.options, self._optimizer

    def _frozen(self, optimizer: AdamW) -> Tree:
        """Return the values of what is not trained."""
        variables = named_variables(self.model)
        return {n: v.get_raw_value() for n, v in variables.items() if n not in optimizer.parameters}

    def _split(self, micro_batch: MicroBatch) -> tuple[Tree, Flags]:
        """Check ids and labels, and return the arguments that are arrays, on the devices, and the others."""
        inputs = {**micro_batch.inputs, **micro_batch.labels}
        check_values(self.model.config, inputs.get("input_ids"), inputs.get("position_ids"), None)
        if "labels" in inputs:
            self.model.check_labels(inputs)
        arrays = {name: value for name, value in inputs.items() if isinstance(value, np.ndarray)}
        flags = tuple(sorted((name, value) for name, value in inputs.items() if name not in arrays))
        return {name: self._processes.place(value) for name, value in arrays.items()}, flags

    def _loss(self, trained: Tree, frozen: Tree, arrays: Tree, key: Array, factor: Array, flags: Flags) -> Array:
        """Return the mean loss of a micro batch times a factor."""
        options, _ = self._training()
        params = nested({self._paths[name]: value for name, value in {**frozen, **trained}.items()})
        call = partial(self._computing, params=params, dropout_rng=key, train=True, jit=False, return_dict=True)
        if options.label_smoothing or options.class_weights:
            logits = call(**{name: array for name, array in arrays.items() if name != "labels"}, **dict(flags)).logits
            smoothing, weights = options.label_smoothing, options.class_weights
            return factor * losses.smoothed_cross_entropy(logits, arrays["labels"], smoothing, weights)
        if self.model._table_head == "ForMaskedLM":
            flags = (*flags, ("loss_only", True))
        return factor * call(**arrays, **dict(flags)).loss

    def eval_step(self, inputs: Mapping[str, Any]) -> Arrays:
        """Return the outputs by name, such as `logits`, as float32 arrays, without dropout.

        Args:
            inputs: The model's arguments; with labels among them, the outputs hold `loss`.
        """
        outputs = self._computing(**inputs, train=False, return_dict=True)
        return {name: np.asarray(value, np.float32) for name, value in outputs.items() if isinstance(value, Array)}

    def state(self) -> Arrays:
        """Return all that the next step depends on, as copies: parameters, moments, count of updates, loss scale."""
        _, optimizer = self._training()
        return {PARAMETERS + name: np.array(array) for name, array in arrays_of(self.model).items()} | optimizer.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned, here or in another framework, so that the next step is the same.

        Raises:
            InputError: The state is not one of such a model with such options.
        """
        _, optimizer = self._training()
        variables = named_variables(self.model)
        shapes = {name: canonical_shape(name, shape_of(variable).shape) for name, variable in variables.items()}
        check_state(state, shapes, optimizer.parameters)
        self._set_values(
            {n: to_jax(in_layout(n, state[PARAMETERS + n]), shape_of(v).dtype) for n, v in variables.items()}
        )
        optimizer.restore(state)

    def _set_values(self, values: Tree) -> None:
        """Give all variables values, which are put on each of the devices."""
        for name, variable in named_variables(self.model).items():
            variable.set_value(jax.device_put(values[name], self._processes.everywhere))


@partial(jax.jit, donate_argnums=0)
def added(total: Any, more: Any) -> Any:
    """Return the sums of two trees."""
    return jax.tree.map(jnp.add, total, more)
