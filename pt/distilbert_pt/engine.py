"""The half of a training run that needs PyTorch: steps, evaluation, and all state as NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import distilbert_pt
from distilbert_common import DistilBertConfig
from distilbert_common.distillation import term_shares
from distilbert_common.errors import InputError
from distilbert_common.training import Arrays, EngineOptions, MicroBatch, StepResult, parameter_rules
from distilbert_common.training_state import (
    PARAMETERS,
    check_float32,
    check_options,
    check_state,
    initial_weights,
    new_weights,
    step_seed,
)
from distilbert_pt import losses
from distilbert_pt.arrays import to_array
from distilbert_pt.distillation import Distillation
from distilbert_pt.distribution import Processes, choose_device
from distilbert_pt.framework.random_numbers import random_numbers
from distilbert_pt.inventory import named_tensors
from distilbert_pt.optimization import AdamW
from distilbert_pt.pretrained import DistilBertPreTrainedModel
from distilbert_pt.teachers import teacher_outputs

__all__ = ["Engine", "load_model"]


def load_model(
    head: str, source: str | Path, *, config: DistilBertConfig | None = None, dtype: str | None = None, seed: int = 0,
    **options: Any,
) -> Any:  # fmt: skip
    """Load a model to be trained or used, as `distilbert_common.training.LoadModel` describes it."""
    cls = getattr(distilbert_pt, f"DistilBert{head}")
    if config is not None:
        options["config"] = config
    model = cls.from_pretrained(source, dtype=dtype, ignore_mismatched_sizes=config is not None, **options)
    fresh = new_weights(model.load_report)
    weights = {name: tensor for name, tensor in named_tensors(model).items() if name in fresh}
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    with torch.no_grad():
        for name, values in initial_weights(shapes, model.config, seed).items():
            weights[name].copy_(torch.from_numpy(values))
    return model


class Engine:
    """The framework half of a training run, as `distilbert_common.training.Engine` describes it."""

    def __init__(
        self, model: Any, options: EngineOptions | None = None, device: str = "auto", *, teacher: Any = None
    ) -> None:
        """Place a model, and make what its training needs.

        Args:
            model: One of the six, or the user's own with a DistilBERT in it.
            options: How to train it; None to evaluate it only, for which it keeps its weights a second time on a CPU,
                in the format that oneDNN multiplies fastest.
            device: "cpu", "gpu", or "auto" for the GPU if there is one.
            teacher: The model that it learns from, with `options.distillation`: of the same class, and taken over, as
                its parameters are cast; None where there is none, or where it was asked ahead of time.

        Raises:
            DeviceError: There is no such device.
            InputError: Options do not fit the model, or its parameters are not float32, or the teacher does not fit.
        """
        self.device = choose_device(device)
        self.model, self.options = model.to(self.device).eval(), options
        self._processes = Processes(self.device)
        self.rank, self.world = self._processes.rank, self._processes.world
        self._distillation: Distillation | None = None
        self._optimizer = None if options is None else self._prepare(options, teacher)
        if options is None and isinstance(model, DistilBertPreTrainedModel):
            model.prepack_weights()
        self._call = torch.compile(model) if options is not None and options.compile else model

    def _prepare(self, options: EngineOptions, teacher: Any) -> AdamW:
        """Get the model ready for training, and return what changes its parameters."""
        check_options(self.model._table_head, self.model.config, options, teacher is not None)
        check_float32(str(self.model.dtype).removeprefix("torch."))
        if options.gradient_checkpointing:
            self.model.gradient_checkpointing_enable()
        if options.distillation is not None:
            self._distillation = Distillation(self.model, options, teacher, self.device)
        tensors = self._state_tensors()
        rules = parameter_rules(list(tensors), options)
        for name, tensor in tensors.items():
            if not rules[name].rate and isinstance(tensor, torch.nn.Parameter):
                tensor.requires_grad_(False)
        self._processes.copy_from_first(list(tensors.values()))
        return AdamW({name: tensor for name, tensor in tensors.items() if tensor.requires_grad}, rules, options)

    def train_step(self, micro_batches: Sequence[MicroBatch], step: int, learning_rate: float) -> StepResult:
        """Change the weights once; see `distilbert_common.training.Engine`."""
        options, optimizer = self._training()
        names = ("loss", *(self._distillation.alphas if self._distillation else ()))
        totals = torch.zeros(len(names), device=self.device)
        self.model.train()
        with random_numbers(step_seed(options.seed, step, self.rank), self.device):
            for micro_batch in micro_batches:
                loss, terms = self._loss(micro_batch, options)
                (loss * optimizer.loss_scale).backward()
                totals += torch.stack([loss, *terms]).detach()
        self._processes.sum([totals, *optimizer.gradients()])
        total, *sums = totals
        terms_by_name = dict(zip(names[1:], sums, strict=True))
        return StepResult(total, optimizer.update(learning_rate), terms_by_name or None)

    def _training(self) -> tuple[EngineOptions, AdamW]:
        """Return what only training needs."""
        if self.options is None or self._optimizer is None:
            raise InputError("the engine was made to evaluate; give Engine(model, options) to train")
        return self.options, self._optimizer

    def _loss(self, micro_batch: MicroBatch, options: EngineOptions) -> tuple[Tensor, list[Tensor]]:
        """Return what a micro batch adds to the loss of the step, and to its terms."""
        if self._distillation is None:
            return self._task_loss(micro_batch, options) * micro_batch.share, []
        inputs, labels = self._tensors(micro_batch.inputs), self._tensors(micro_batch.labels)
        cached = None if micro_batch.teacher is None else self._tensors(micro_batch.teacher)
        shares = term_shares(self.model._table_head, self._distillation.options, micro_batch)
        with self._autocast():
            loss, terms = self._distillation.loss(self._call, inputs, labels, cached, shares)
        return loss, [terms[name].detach() for name in self._distillation.alphas]

    def _task_loss(self, micro_batch: MicroBatch, options: EngineOptions) -> Tensor:
        """Return the mean loss of a micro batch."""
        inputs, labels = self._tensors(micro_batch.inputs), self._tensors(micro_batch.labels)
        with self._autocast():
            if options.label_smoothing or options.class_weights:
                logits = self._call(**inputs, return_dict=True).logits
                weights = options.class_weights
                return losses.smoothed_cross_entropy(logits, labels["labels"], options.label_smoothing, weights)
            if self.model._table_head == "ForMaskedLM":
                inputs["loss_only"] = True
            return self._call(**inputs, **labels, return_dict=True).loss

    def eval_step(self, inputs: Mapping[str, Any]) -> Arrays:
        """Return the outputs by name, as float32 arrays, without dropout."""
        if self.model.training:  # as after a step
            self.model.eval()
        with torch.inference_mode(), self._autocast():
            outputs = self._call(**self._tensors(inputs), return_dict=True)
        return {name: to_array(value.float()) for name, value in outputs.items() if isinstance(value, Tensor)}

    def teacher_outputs(self, inputs: Mapping[str, Any], top_k: int) -> Arrays:
        """Return what a masked LM predicts as a teacher; see `distilbert_common.training.Engine`."""
        self.model.eval()
        with torch.inference_mode(), self._autocast():
            outputs = teacher_outputs(self.model, self._tensors(inputs), top_k)
        return {
            name: to_array(value.float() if value.is_floating_point() else value) for name, value in outputs.items()
        }

    def state(self) -> Arrays:
        """Return all that the next step depends on, as copies: parameters, moments, count of updates, loss scale."""
        _, optimizer = self._training()
        tensors = self._state_tensors()
        return {PARAMETERS + name: np.array(to_array(tensor)) for name, tensor in tensors.items()} | optimizer.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned, here or in another framework."""
        _, optimizer = self._training()
        tensors = self._state_tensors()
        check_state(state, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, optimizer.parameters)
        with torch.no_grad():
            for name, tensor in tensors.items():
                tensor.copy_(torch.from_numpy(np.array(state[PARAMETERS + name])))
        optimizer.restore(state)

    def _state_tensors(self) -> dict[str, Tensor]:
        """Return what a state holds by name: the model's tensors, and what is trained beside it."""
        return named_tensors(self.model) | (dict(self._distillation.parameters) if self._distillation else {})

    def _autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which products are computed in the precision asked for."""
        precision = self.options.precision if self.options else "float32"
        return nullcontext() if precision == "float32" else torch.autocast(self.device.type, getattr(torch, precision))

    def _tensors(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments with arrays as tensors on the device."""
        return {
            name: torch.from_numpy(value).to(self.device) if isinstance(value, np.ndarray) else value
            for name, value in inputs.items()
        }
