"""Distillation: the loss by which a student learns, in PyTorch; `BaseDistillation` says which terms it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distilbert_common.base_distillation import BaseDistillation
from distilbert_common.constants import IGNORE_INDEX, is_fast
from distilbert_common.distillation import MASKED_LM, check_widths
from distilbert_common.training import EngineOptions
from distilbert_pt import losses, soft_targets, teachers
from distilbert_pt.fast.chunked_distillation import ProjectedTargets, Targets, TopTargets, chunked_distillation
from distilbert_pt.framework.hooks import is_plain_linear
from distilbert_pt.teachers import frozen

__all__ = ["Distillation"]

Tensors = Mapping[str, Any]
Terms = dict[str, Tensor]


class Distillation(BaseDistillation):
    """How one student learns."""

    losses, soft_targets, teachers = losses, soft_targets, teachers

    def __init__(self, model: Any, options: EngineOptions, teacher: Any, device: torch.device) -> None:
        """Check the teacher, place it, and make the projection.

        Args:
            model: The student.
            options: Those of its training, `distillation` among them.
            teacher: A model of the same class, or None. It is taken over: its parameters are cast to
                `teacher_precision`, and not trained any more.
            device: Where the student computes.

        Raises:
            InputError: The teacher does not fit the student.
        """
        super().__init__(model, options, teacher)
        if teacher is not None:
            teacher.to(device, getattr(torch, self.options.teacher_precision)).eval().requires_grad_(False)
        is_masked_lm = self._head == MASKED_LM
        self._encode = torch.compile(model.distilbert) if options.compile and is_masked_lm else model.distilbert
        values = self._initial_projection()
        if values is not None:
            self.projection = nn.Parameter(torch.from_numpy(values).to(device))

    @staticmethod
    def _head_of(model: Any) -> str:
        """Return the end of a model's class name, as "ForMaskedLM"."""
        return model._table_head

    def _student_states(self, student: Any, inputs: Tensors) -> Tensor:
        """Return the student's last hidden states (batch, seq, dim)."""
        return self._encode(**inputs, return_dict=True).last_hidden_state

    def _teacher_states(self, inputs: Tensors) -> Tensor:
        """Return the teacher's last hidden states (batch, seq, teacher's dim), without gradients."""
        with frozen(self.teacher):
            return self.teacher.distilbert(**inputs, return_dict=True).last_hidden_state

    def _student_output(self, student: Any, arguments: Tensors) -> Any:
        """Return what the student gives in training."""
        return student(**arguments)

    def _teacher_output(self, arguments: Tensors) -> Any:
        """Return what the teacher gives, without gradients."""
        with frozen(self.teacher):
            return self.teacher(**arguments)

    def _student_logits(self, student: Any, hidden: Tensor) -> Tensor:
        """Return a masked LM's logits: (batch, seq, dim) -> (batch, seq, vocab)."""
        return student.vocab_projector(student.lm_transform(hidden))

    def _teacher_logits(self, hidden: Tensor) -> Tensor:
        """Return the teacher's logits without gradients: (batch, seq, teacher's dim) -> (batch, seq, vocab)."""
        with frozen(self.teacher):
            return self.teacher.vocab_projector(self.teacher.lm_transform(hidden))

    def _labels_loss(self, student: Any, hidden: Tensor, labels: Tensor) -> Tensor:
        """Return the masked-LM loss of labels alone, without logits: a scalar."""
        labeled = labels != IGNORE_INDEX  # (batch, seq)
        return student._loss_at(hidden[labeled], labels[labeled])

    def _cosine_loss(self, hidden: Tensor, expected: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of 1 minus the cosine of hidden states (batch, seq, …) over the tokens of a mask."""
        hidden, expected = hidden[mask], expected[mask]  # (tokens, dim), (tokens, teacher's dim)
        if self.projection is not None:
            hidden = F.linear(hidden, self.projection)  # (tokens, teacher's dim)
        check_widths(hidden.size(-1), expected.size(-1))
        return (1 - losses.cosine(hidden, expected)).sum() / max(1, len(hidden))

    def _can_chunk(self, student: Any, hidden: Tensor) -> bool:
        """Whether the projectors to the vocabulary are products, and the loss is that of the paper."""
        models = [student] if self.teacher is None else [student, self.teacher]
        plain = all(is_plain_linear(one.vocab_projector) and one.vocab_projector.bias is not None for one in models)
        return plain and is_fast() and not (self._training.label_smoothing or self._training.class_weights)

    def _chunked_terms(
        self, student: Any, hidden: Tensor, labels: Tensor, soft: Tensor, predictions: Tensors,
        weights: Mapping[str, float],
    ) -> tuple[Tensor, Terms]:  # fmt: skip
        """Return the weighted sum of the terms that are of logits, and these terms, without logits."""
        labeled = (labels != IGNORE_INDEX).flatten()  # (batch * seq,)
        order = first = labeled.nonzero()[:, 0]  # (labeled,)
        if not self.options.restrict_ce_to_mask:
            order = torch.cat([first, (soft.flatten() & ~labeled).nonzero()[:, 0]])  # (tokens,), labeled ones first
        tokens, count = max(1, len(order)), max(1, len(first))
        if "loss_mlm" not in weights:
            first = first[:0]
        factor, label_factor = weights["loss_ce"] / tokens, weights.get("loss_mlm", 0.0) / count
        x = student.lm_transform(hidden.flatten(0, 1).index_select(0, order))  # (tokens, dim)
        projector, targets = student.vocab_projector, self._targets(predictions, order)
        total, divergence, cross_entropy = chunked_distillation(
            x, projector.weight, projector.bias, labels.flatten()[first], targets, self.options.temperature,
            label_factor / (factor or 1.0),
        )  # fmt: skip
        return total * factor, {"loss_ce": divergence / tokens, "loss_mlm": cross_entropy / count}

    def _targets(self, predictions: Tensors, order: Tensor) -> Targets:
        """Return the predictions for the tokens of a batch with indices (tokens,) among batch * seq."""
        chosen = {name: x.flatten(0, 1).index_select(0, order) for name, x in predictions.items()}
        if "indices" in chosen:
            return TopTargets(chosen["indices"], chosen["logits"])
        projector = self.teacher.vocab_projector
        with frozen(self.teacher):
            return ProjectedTargets(self.teacher.lm_transform(chosen["hidden"]), projector.weight, projector.bias)
