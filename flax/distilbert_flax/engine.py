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
from distilbert_common.base_engine import BaseEngine, Flags
from distilbert_common.distillation import HIDDEN_PROJECTION, term_shares
from distilbert_common.training import Arrays, EngineOptions, MicroBatch, StepResult, parameter_rules
from distilbert_common.training_state import PARAMETERS, check_float32, check_options, check_state, new_weights
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


class Engine(BaseEngine[AdamW]):
    """The framework half of a training run, as `distilbert_common.training.Engine` describes it."""

    _distillation: Distillation | None

    def _place(self, device: str) -> None:
        """Join the other processes, and put the model on the devices."""
        join_processes()
        self._processes = Processes(choose_devices(device))
        self.rank, self.world = self._processes.rank, self._processes.world
        self._set_values({name: variable.get_raw_value() for name, variable in named_variables(self.model).items()})

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

    def _make_steps(self) -> None:
        """Make the functions that a step and an evaluation call."""
        self._paths = paths_of(self.model)
        self._computing = computing_in(self.model, self.options.precision if self.options else None)
        self._gradients = jax.jit(jax.value_and_grad(self._loss, has_aux=True), static_argnames="flags")
        self._teacher_outputs = jax.jit(self._top_outputs, static_argnames=("flags", "top_k"))

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

    def _frozen(self, optimizer: AdamW) -> dict[str, Tree]:
        """Return the values of what is not trained, the teacher's among them."""
        variables = named_variables(self.model)
        frozen = {n: v.get_raw_value() for n, v in variables.items() if n not in optimizer.parameters}
        return {"student": frozen, "teacher": self._distillation.teacher_values() if self._distillation else {}}

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

    @staticmethod
    def _load(head: str, source: str | Path, dtype: str | None, seed: int, options: Mapping[str, Any]) -> Any:
        join_processes()
        model = getattr(distilbert_flax, f"FlaxDistilBert{head}").from_pretrained(source, param_dtype=dtype, **options)
        weights = named_variables(model)
        shapes = {name: canonical_shape(name, shape_of(variable).shape) for name, variable in weights.items()}
        for name, values in new_weights(model, shapes, seed).items():
            weights[name].set_value(to_jax(in_layout(name, values), shape_of(weights[name]).dtype))
        return model


load_model = Engine.load_model


@partial(jax.jit, donate_argnums=0)
def added(total: Any, more: Any) -> Any:
    """Return the sums of two trees."""
    return jax.tree.map(jnp.add, total, more)
