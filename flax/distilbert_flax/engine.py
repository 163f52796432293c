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
from distilbert_common.distillation import HIDDEN_PROJECTION, term_shares
from distilbert_common.errors import InputError
from distilbert_common.training import Arrays, EngineOptions, MicroBatch, StepResult, parameter_rules
from distilbert_common.training_state import (
    PARAMETERS,
    check_float32,
    check_options,
    check_state,
    initial_weights,
    new_weights,
)
from distilbert_flax import losses
from distilbert_flax.arrays import to_jax
from distilbert_flax.checks import check_values
from distilbert_flax.distillation import Distillation
from distilbert_flax.distribution import Processes, choose_devices, join_processes
from distilbert_flax.framework.functional import nested
from distilbert_flax.framework.precision import computing_in
from distilbert_flax.framework.variables import bind, shape_of
from distilbert_flax.inventory import canonical_shape, in_layout, named_variables, paths_of
from distilbert_flax.optimization import AdamW, Tree
from distilbert_flax.teachers import teacher_outputs

__all__ = ["Engine", "load_model"]

Flags = tuple[tuple[str, Any], ...]
"""Arguments that are no arrays, by name."""


def load_model(
    head: str, source: str | Path, *, config: DistilBertConfig | None = None, dtype: str | None = None, seed: int = 0,
    **options: Any,
) -> Any:  # fmt: skip
    """Load a model to be trained or used, as `distilbert_common.training.LoadModel` describes it."""
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
    """The framework half of a training run, as `distilbert_common.training.Engine` describes it."""

    def __init__(
        self, model: Any, options: EngineOptions | None = None, device: str = "auto", *, teacher: Any = None
    ) -> None:
        """Place a model, and make what its training needs.

        Args:
            model: One of the six, or the user's own with a DistilBERT in it. Training takes over the memory of its
                parameters: arrays that were read of them before are gone after a step.
            options: How to train it; None to evaluate it only.
            device: "cpu", "gpu", or "auto" for JAX's default.
            teacher: The model that it learns from, with `options.distillation`: of the same class, and taken over, as
                its parameters are cast; None where there is none, or where it was asked ahead of time.

        Raises:
            DeviceError: There is no such device.
            InputError: Options do not fit the model, or its parameters are not float32, or the teacher does not fit.
        """
        join_processes()
        self.model, self.options = model, options
        self._processes = Processes(choose_devices(device))
        self.rank, self.world = self._processes.rank, self._processes.world
        self._distillation: Distillation | None = None
        self._set_values({name: variable.get_raw_value() for name, variable in named_variables(model).items()})
        self._optimizer = None if options is None else self._prepare(options, teacher)
        self._paths = paths_of(model)
        self._computing = computing_in(model, options.precision if options else None)
        self._gradients = jax.jit(jax.value_and_grad(self._loss, has_aux=True), static_argnames="flags")
        self._teacher_outputs = jax.jit(self._top_outputs, static_argnames=("flags", "top_k"))

    def _prepare(self, options: EngineOptions, teacher: Any) -> AdamW:
        """Get the model ready for training, and return what changes its parameters."""
        check_options(self.model._table_head, self.model.config, options, teacher is not None)
        if options.distillation is not None:
            self._distillation = Distillation(self.model, options, teacher, self._processes.everywhere)
        variables = self._state_variables()
        for variable in variables.values():
            check_float32(str(shape_of(variable).dtype))
        if options.gradient_checkpointing:
            self.model.gradient_checkpointing_enable()
        self._set_values(self._processes.copy_from_first({n: v.get_raw_value() for n, v in variables.items()}))
        rules = parameter_rules(list(variables), options)
        trained = {n: v for n, v in variables.items() if isinstance(v, nnx.Param) and rules[n].rate}
        return AdamW(trained, rules, options, self._processes.everywhere)

    def train_step(self, micro_batches: Sequence[MicroBatch], step: int, learning_rate: float) -> StepResult:
        """Change the weights once; see `distilbert_common.training.Engine`."""
        options, optimizer = self._training()
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(options.seed), step), self.rank)
        frozen, total = self._frozen(optimizer), None
        for number, micro_batch in enumerate(micro_batches):
            arrays, flags = self._split(micro_batch)
            own_key = jax.random.fold_in(key, number)
            scale = optimizer.loss_scale
            result = self._gradients(optimizer.values(), frozen, arrays, own_key, scale, flags=flags)
            total = result if total is None else added(total, result)
        (loss, terms), gradients = self._processes.sum(total)
        loss = loss / optimizer.loss_scale
        return StepResult(loss, optimizer.update(gradients, learning_rate), terms or None)

    def _training(self) -> tuple[EngineOptions, AdamW]:
        """Return what only training needs."""
        if self.options is None or self._optimizer is None:
            raise InputError("the engine was made to evaluate; give Engine(model, options) to train")
        return self.options, self._optimizer

    def _frozen(self, optimizer: AdamW) -> dict[str, Tree]:
        """Return the values of what is not trained, the teacher's among them."""
        variables = named_variables(self.model)
        own = {n: v.get_raw_value() for n, v in variables.items() if n not in optimizer.parameters}
        return {"student": own, "teacher": self._distillation.teacher_values() if self._distillation else {}}

    def _split(self, micro_batch: MicroBatch) -> tuple[dict[str, Any], Flags]:
        """Check ids and labels, and return what of a micro batch is arrays, on the devices, and the other arguments."""
        inputs = {**micro_batch.inputs, **micro_batch.labels}
        check_values(self.model.config, inputs.get("input_ids"), inputs.get("position_ids"), None)
        if "labels" in inputs:
            self.model.check_labels(inputs)
        flags = tuple(sorted((name, value) for name, value in inputs.items() if not isinstance(value, np.ndarray)))
        shares = {"loss": micro_batch.share}
        if self._distillation is not None:
            shares = term_shares(self.model._table_head, self._distillation.options, micro_batch)
        return {
            "inputs": self._placed(micro_batch.inputs),
            "labels": self._placed(micro_batch.labels),
            "cached": None if micro_batch.teacher is None else self._placed(micro_batch.teacher),
            "shares": {name: np.float32(share) for name, share in shares.items()},
        }, flags

    def _placed(self, inputs: Mapping[str, Any]) -> Tree:
        """Return the arguments that are arrays, on the devices."""
        return {name: self._processes.place(x) for name, x in inputs.items() if isinstance(x, np.ndarray)}

    def _loss(
        self, trained: Tree, frozen: dict[str, Tree], arrays: dict[str, Any], key: Array, scale: Array, flags: Flags
    ) -> tuple[Array, Tree]:
        """Return what a micro batch adds to the loss of the step, times the scale, and to its terms."""
        values = {**frozen["student"], **trained}
        params = nested({path: values[name] for name, path in self._paths.items()})
        student = bind(self._computing, params, key, True)
        inputs = {**arrays["inputs"], **dict(flags)}
        if self._distillation is None:
            return scale * arrays["shares"]["loss"] * self._task_loss(student, inputs, arrays["labels"]), {}
        distillation = self._distillation.bound(frozen["teacher"], values.get(HIDDEN_PROJECTION))
        loss, terms = distillation.loss(student, inputs, arrays["labels"], arrays["cached"], arrays["shares"])
        return scale * loss, terms

    def _task_loss(self, student: Any, inputs: Mapping[str, Any], labels: Tree) -> Array:
        """Return the mean loss of a micro batch."""
        options, _ = self._training()
        if options.label_smoothing or options.class_weights:
            logits, weights = student.forward(**inputs, return_dict=True).logits, options.class_weights
            return losses.smoothed_cross_entropy(logits, labels["labels"], options.label_smoothing, weights)
        more = {"loss_only": True} if self.model._table_head == "ForMaskedLM" else {}
        return student.forward(**inputs, **labels, **more, return_dict=True).loss

    def eval_step(self, inputs: Mapping[str, Any]) -> Arrays:
        """Return the outputs by name, as float32 arrays, without dropout."""
        outputs = self._computing(**inputs, train=False, return_dict=True)
        return {name: np.asarray(value, np.float32) for name, value in outputs.items() if isinstance(value, Array)}

    def teacher_outputs(self, inputs: Mapping[str, Any], top_k: int) -> Arrays:
        """Return what a masked LM predicts as a teacher; see `distilbert_common.training.Engine`."""
        check_values(self.model.config, inputs.get("input_ids"), inputs.get("position_ids"), None)
        values = {name: variable.get_raw_value() for name, variable in named_variables(self.model).items()}
        flags = tuple(sorted((name, value) for name, value in inputs.items() if not isinstance(value, np.ndarray)))
        outputs = self._teacher_outputs(values, self._placed(inputs), flags=flags, top_k=top_k)
        dtypes = {"indices": np.int32}
        return {name: np.asarray(value, dtypes.get(name, np.float32)) for name, value in outputs.items()}

    def _top_outputs(self, values: Tree, arrays: Tree, flags: Flags, top_k: int) -> Tree:
        """Return what `teacher_outputs` does, as a pure function of the model's parameters."""
        params = nested({path: values[name] for name, path in self._paths.items()})
        return teacher_outputs(bind(self._computing, params, None, False), {**arrays, **dict(flags)}, top_k)

    def state(self) -> Arrays:
        """Return all that the next step depends on, as copies: parameters, moments, count of updates, loss scale."""
        _, optimizer = self._training()
        arrays = {n: in_layout(n, np.asarray(v.get_raw_value())) for n, v in self._state_variables().items()}
        return {PARAMETERS + name: np.array(array) for name, array in arrays.items()} | optimizer.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned, here or in another framework."""
        _, optimizer = self._training()
        variables = self._state_variables()
        shapes = {name: canonical_shape(name, shape_of(variable).shape) for name, variable in variables.items()}
        check_state(state, shapes, optimizer.parameters)
        self._set_values(
            {n: to_jax(in_layout(n, state[PARAMETERS + n]), shape_of(v).dtype) for n, v in variables.items()}
        )
        optimizer.restore(state)

    def _state_variables(self) -> dict[str, nnx.Variable[Array]]:
        """Return what a state holds by name: the model's variables, and what is trained beside it."""
        return named_variables(self.model) | (dict(self._distillation.parameters) if self._distillation else {})

    def _set_values(self, values: Tree) -> None:
        """Give all variables values, which are put on each of the devices."""
        for name, variable in self._state_variables().items():
            variable.set_value(jax.device_put(values[name], self._processes.everywhere))


@partial(jax.jit, donate_argnums=0)
def added(total: Any, more: Any) -> Any:
    """Return the sums of two trees."""
    return jax.tree.map(jnp.add, total, more)
