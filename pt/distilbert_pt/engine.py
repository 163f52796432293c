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
from distilbert_common.base_engine import BaseEngine
from distilbert_common.distillation import term_shares
from distilbert_common.training import Arrays, EngineOptions, MicroBatch, StepResult, parameter_rules
from distilbert_common.training_state import (
    PARAMETERS,
    check_float32,
    check_options,
    check_state,
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


class Engine(BaseEngine[AdamW]):
    """The framework half of a training run, as `distilbert_common.training.Engine` describes it.

    To evaluate only, it keeps the weights a second time on a CPU, in the format that oneDNN multiplies fastest.
    """

    _distillation: Distillation | None

    def _place(self, device: str) -> None:
        """Put the model on a device, as it is in evaluation."""
        self.device = choose_device(device)
        self.model.to(self.device).eval()
        self._processes = Processes(self.device)
        self.rank, self.world = self._processes.rank, self._processes.world

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

    def _make_steps(self) -> None:
        """Make the functions that a step and an evaluation call."""
        if self.options is None and isinstance(self.model, DistilBertPreTrainedModel):
            self.model.prepack_weights()
        self._call = torch.compile(self.model) if self.options is not None and self.options.compile else self.model

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

    @staticmethod
    def _load(head: str, source: str | Path, dtype: str | None, seed: int, options: Mapping[str, Any]) -> Any:
        model = getattr(distilbert_pt, f"DistilBert{head}").from_pretrained(source, dtype=dtype, **options)
        weights = named_tensors(model)
        shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        with torch.no_grad():
            for name, values in new_weights(model, shapes, seed).items():
                weights[name].copy_(torch.from_numpy(values))
        return model


load_model = Engine.load_model
