"""The half of a training run that needs Keras: steps, evaluation, and all state as NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops, tree
from numpy.typing import NDArray

import distilbert_tf
from distilbert_common.base_engine import BaseEngine, Flags
from distilbert_common.distillation import term_shares
from distilbert_common.training import Arrays, EngineOptions, MicroBatch, StepResult, parameter_rules
from distilbert_common.training_state import PARAMETERS, check_float32, check_options, check_state, new_weights
from distilbert_tf import losses
from distilbert_tf.arrays import Tensor, to_array
from distilbert_tf.distillation import Distillation
from distilbert_tf.distribution import Processes, choose_device, join_processes
from distilbert_tf.framework.precision import compute_in
from distilbert_tf.framework.random_numbers import set_seeds
from distilbert_tf.framework.stepping import stepping
from distilbert_tf.inventory import arrays_to_save, in_layout, named_weights, shapes
from distilbert_tf.optimization import AdamW
from distilbert_tf.teachers import teacher_outputs

__all__ = ["Engine", "load_model"]


class Engine(BaseEngine[AdamW]):
    """The framework half of a training run, as `distilbert_common.training.Engine` describes it."""

    _distillation: Distillation | None

    def _place(self, device: str) -> None:
        """Find device and processes, make the weights, and choose how steps are compiled."""
        self._processes = Processes()
        self._device = choose_device(device)
        self.rank, self.world = self._processes.rank, self._processes.world
        self.model.build_all()
        self._stepping = stepping(self.options.compile if self.options else None)

    def _prepare(self, options: EngineOptions, teacher: Any) -> AdamW:
        """Get the model ready for training, and return what changes its parameters."""
        with keras.device(self._device):
            check_options(self.model.head, self.model.config, options, teacher is not None)
            if options.distillation is not None:
                self._distillation = Distillation(self.model, options, teacher)
            variables = self._state_variables()
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
            others += self._distillation.teacher_variables if self._distillation else []
            self._gradients = self._stepping.gradients(self._loss, list(trained.values()), others)
            return AdamW(trained, rules, options, self._stepping)

    def _make_steps(self) -> None:
        """Make the functions that a step and an evaluation call."""
        self._outputs = self._stepping.outputs(self.model)
        self._teacher_outputs = self._stepping.program(self._top_outputs, self.model.variables)

    def train_step(self, micro_batches: Sequence[MicroBatch], step: int, learning_rate: float) -> StepResult:
        """Change the weights once; see `distilbert_common.training.Engine`."""
        options, optimizer = self._training()
        total: Any = None
        with keras.device(self._device):
            for number, micro_batch in enumerate(micro_batches):
                set_seeds(self.model, options.seed, step, self.rank, number)
                result = self._gradients(*self._split(micro_batch), optimizer.loss_scale)
                total = result if total is None else tree.map_structure(ops.add, total, result)
            (loss, terms), gradients = tree.pack_sequence_as(total, self._processes.sum(tree.flatten(total)))
            loss = loss / optimizer.loss_scale
            return StepResult(loss, optimizer.update(gradients, learning_rate), terms or None)

    def _split(self, micro_batch: MicroBatch) -> tuple[dict[str, Any], Flags]:
        """Check ids and labels, and return what of a micro batch is arrays, as tensors, and the other arguments."""
        self.model.check(**micro_batch.inputs, **micro_batch.labels)
        shares = {"loss": micro_batch.share}
        if self._distillation is not None:
            shares = term_shares(self.model.head, self._distillation.options, micro_batch)
        inputs, flags = split(micro_batch.inputs)
        arrays = {"inputs": inputs, "labels": split(micro_batch.labels)[0]}
        if micro_batch.teacher is not None:
            arrays["cached"] = split(micro_batch.teacher)[0]
        arrays["shares"] = {name: ops.convert_to_tensor(share, "float32") for name, share in shares.items()}
        return arrays, flags

    def _loss(self, arrays: Mapping[str, Any], flags: Flags) -> tuple[Tensor, dict[str, Tensor]]:
        """Return what a micro batch adds to the loss of the step, and to its terms."""
        inputs, labels, shares = {**arrays["inputs"], **dict(flags)}, arrays["labels"], arrays["shares"]
        if self._distillation is None:
            return self._task_loss(inputs, labels) * shares["loss"], {}
        return self._distillation.loss(self.model, inputs, labels, arrays.get("cached"), shares)

    def _task_loss(self, inputs: Mapping[str, Any], labels: Mapping[str, Tensor]) -> Tensor:
        """Return the mean loss of a micro batch."""
        options, _ = self._training()
        if options.label_smoothing or options.class_weights:
            logits, weights = self.model(**inputs, training=True, return_dict=True).logits, options.class_weights
            return losses.smoothed_cross_entropy(logits, labels["labels"], options.label_smoothing, weights)
        more = {"loss_only": True} if self.model.head == "ForMaskedLM" else {}
        return self.model(**inputs, **labels, **more, training=True, return_dict=True).loss

    def eval_step(self, inputs: Mapping[str, Any]) -> Arrays:
        """Return the outputs by name, as float32 arrays, without dropout."""
        self.model.check(**inputs)
        with keras.device(self._device):
            outputs = self._outputs(*split(inputs))
        return {
            name: ops.convert_to_numpy(ops.cast(value, "float32"))
            for name, value in outputs.items()
            if not isinstance(value, tuple)
        }

    def teacher_outputs(self, inputs: Mapping[str, Any], top_k: int) -> Arrays:
        """Return what a masked LM predicts as a teacher; see `distilbert_common.training.Engine`."""
        self.model.check(**inputs)
        with keras.device(self._device):
            arrays, flags = split(inputs)
            outputs = self._teacher_outputs(arrays, (*flags, ("top_k", top_k)))
            dtypes = {"indices": "int32"}
            return {n: ops.convert_to_numpy(ops.cast(x, dtypes.get(n, "float32"))) for n, x in outputs.items()}

    def _top_outputs(self, arrays: Mapping[str, Tensor], flags: Flags) -> dict[str, Tensor]:
        """Return what `teacher_outputs` does, as tensors."""
        inputs = {**arrays, **dict(flags)}
        return teacher_outputs(self.model, inputs, inputs.pop("top_k"))

    def state(self) -> Arrays:
        """Return all that the next step depends on, as copies: parameters, moments, count of updates, loss scale."""
        _, optimizer = self._training()
        extra = {name: to_array(variable) for name, variable in self._extra_variables().items()}
        arrays = arrays_to_save(self.model) | extra
        return {PARAMETERS + name: np.array(array) for name, array in arrays.items()} | optimizer.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned, here or in another framework."""
        _, optimizer = self._training()
        extra = {name: tuple(variable.shape) for name, variable in self._extra_variables().items()}
        check_state(state, shapes(self.model) | extra, optimizer.parameters)
        for name, variable in self._state_variables().items():
            variable.assign(np.array(in_layout(name, state[PARAMETERS + name])))
        optimizer.restore(state)

    def _state_variables(self) -> dict[str, keras.Variable]:
        """Return what a state holds by name: the model's variables, and what is trained beside it."""
        return {name: variable for name, _, variable in named_weights(self.model)} | self._extra_variables()

    def _extra_variables(self) -> dict[str, keras.Variable]:
        """Return what is trained beside the model, by its name in a state."""
        return dict(self._distillation.parameters) if self._distillation else {}

    @staticmethod
    def _load(head: str, source: str | Path, dtype: str | None, seed: int, options: Mapping[str, Any]) -> Any:
        join_processes()
        model = getattr(distilbert_tf, f"TFDistilBert{head}").from_pretrained(source, dtype=dtype, **options)
        weights = {name: variable for name, _, variable in named_weights(model)}
        for name, values in new_weights(model, shapes(model), seed).items():
            weights[name].assign(in_layout(name, values))
        return model


load_model = Engine.load_model


def split(inputs: Mapping[str, Any]) -> tuple[dict[str, Tensor], Flags]:
    """Return the arguments that are arrays, as tensors, and the others."""
    arrays = {name: ops.convert_to_tensor(value) for name, value in inputs.items() if isinstance(value, np.ndarray)}
    return arrays, tuple(sorted((name, value) for name, value in inputs.items() if name not in arrays))
