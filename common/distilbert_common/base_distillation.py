"""The loss by which a student learns from a teacher, or from what one gave ahead of time, in every framework.

The terms for masked LM are those of Sanh et al., arXiv 1910.01108, section 2, and for the other tasks the same idea:
the teacher's softened predictions, the labels, and the direction of the hidden states. What needs tensors is a method
or a module of the family: `distilbert_pt.distillation`, `distilbert_tf.distillation`, `distilbert_flax.distillation`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.distillation import (
    HIDDEN_PROJECTION,
    MASKED_LM,
    check_cached,
    check_teacher,
    projection_shape,
    term_alphas,
)
from distilbert_common.errors import InputError
from distilbert_common.soft_targets import SoftTargets
from distilbert_common.training import EngineOptions
from distilbert_common.training_state import initial_weights

__all__ = ["BaseDistillation"]

Tensors = Mapping[str, Any]
Terms = dict[str, Any]


class BaseDistillation(ABC):
    """How one student learns.

    Attributes:
        options: How.
        teacher: The teacher, which is not trained; None where it was asked ahead of time.
        projection: (teacher's dim, dim), trained along with the student and no part of it; None where there is none.
        alphas: The weights of the terms of the loss.
    """

    losses: Any
    """The family's module of this name."""
    soft_targets: SoftTargets
    """The family's module of this name."""
    teachers: Any
    """The family's module of this name."""

    def __init__(self, model: Any, options: EngineOptions, teacher: Any) -> None:
        """Check that a teacher fits.

        Args:
            model: The student.
            options: Those of its training, `distillation` among them.
            teacher: A model of the same class, or None.

        Raises:
            InputError: The teacher does not fit the student.
        """
        assert options.distillation is not None
        self._head, self._config = self._head_of(model), model.config
        self._training, self.options = options, options.distillation
        self.alphas = term_alphas(self._head, self.options)
        if teacher is model:
            raise InputError("the teacher is the student itself; load it a second time")
        if teacher is not None:
            check_teacher(self._head, model.config, self._head_of(teacher), teacher.config, self.options)
        self.teacher = teacher
        self.projection: Any = None

    def _initial_projection(self) -> NDArray[np.float32] | None:
        """Return the values that the projection starts with; None where there is none."""
        shape = projection_shape(self._config, self.options, None if self.teacher is None else self.teacher.config)
        if shape is None:
            return None
        return initial_weights({HIDDEN_PROJECTION: shape}, self._config, self._training.seed)[HIDDEN_PROJECTION]

    @property
    def parameters(self) -> dict[str, Any]:
        """What is trained beside the student, by its name in a state."""
        return {} if self.projection is None else {HIDDEN_PROJECTION: self.projection}

    def loss(
        self, student: Any, inputs: Tensors, labels: Tensors, cached: Tensors | None, shares: Mapping[str, Any]
    ) -> tuple[Any, Terms]:
        """Return the loss of a micro batch.

        Args:
            student: The student.
            inputs: Its arguments without labels.
            labels: Its arguments that are labels.
            cached: What a teacher gave ahead of time, as `MicroBatch.teacher`; None to ask it now.
            shares: The share of each term in that of the step.

        Returns:
            The weighted sum of the terms, and each term by name, all times their shares.

        Raises:
            InputError: There is no teacher, and too little was given ahead of time.
        """
        weights = {name: alpha * shares[name] for name, alpha in self.alphas.items()}
        if self._head == MASKED_LM:
            total, terms = self._masked_lm_loss(student, inputs, labels["labels"], cached, weights)
        else:
            total, terms = weighted(self._task_terms(student, inputs, labels), weights)
        return total, {name: terms[name] * share for name, share in shares.items()}

    def _masked_lm_loss(
        self, student: Any, inputs: Tensors, labels: Any, cached: Tensors | None, weights: Mapping[str, Any]
    ) -> tuple[Any, Terms]:
        """Return the triple loss of masked LM, and its terms."""
        predictions = self._predictions(inputs, cached)
        hidden = self._student_states(student, inputs)  # (batch, seq, dim)
        mask = self.teachers.token_mask(inputs)  # bool (batch, seq)
        soft = mask & (labels != IGNORE_INDEX) if self.options.restrict_ce_to_mask else mask  # (batch, seq)
        if not self._can_chunk(student, hidden):
            total, terms = weighted(self._logit_terms(student, hidden, labels, soft, predictions), weights)
        elif "loss_ce" in weights:
            total, terms = self._chunked_terms(student, hidden, labels, soft, predictions, weights)
        else:
            only = {"loss_mlm": self._labels_loss(student, hidden, labels)} if "loss_mlm" in weights else {}
            total, terms = weighted(only, weights)
        if "loss_cos" in weights:
            terms["loss_cos"] = self._cosine_loss(hidden, predictions["hidden"], mask)
            total = total + weights["loss_cos"] * terms["loss_cos"]
        return total, terms

    def _predictions(self, inputs: Tensors, cached: Tensors | None) -> Tensors:
        """Return the teacher's `hidden` (batch, seq, teacher's dim), or what it gave ahead of time."""
        if cached is not None or self.teacher is None:
            return check_cached(cached, self.options)
        return {} if self.alphas.keys() == {"loss_mlm"} else {"hidden": self._teacher_states(inputs)}

    def _logit_terms(self, student: Any, hidden: Any, labels: Any, soft: Any, predictions: Tensors) -> Terms:
        """Return the terms that are of logits, as `losses.distillation_loss` has them.

        Args:
            student: The student.
            hidden: (batch, seq, dim), its last hidden states.
            labels: (batch, seq) integers.
            soft: bool (batch, seq), where predictions are compared.
            predictions: What `_predictions` returned.
        """
        terms, temperature, training = {}, self.options.temperature, self._training
        logits = self._student_logits(student, hidden)  # (batch, seq, vocab)
        if "loss_ce" in self.alphas:
            if "indices" in predictions:
                top = predictions["indices"], predictions["logits"]
                divergence = self.soft_targets.top_divergence(logits, *top, temperature)  # (batch, seq)
            else:
                expected = self._teacher_logits(predictions["hidden"])  # (batch, seq, vocab)
                divergence = self.losses.kl_divergence(logits, expected, temperature)  # (batch, seq)
            terms["loss_ce"] = self.losses.masked_mean(divergence, soft) * temperature**2
        if "loss_mlm" in self.alphas:
            smoothing = training.label_smoothing, training.class_weights
            terms["loss_mlm"] = self.losses.smoothed_cross_entropy(logits, labels, *smoothing)
        return terms

    def _task_terms(self, student: Any, inputs: Tensors, labels: Tensors) -> Terms:
        """Return the terms of a task other than masked LM."""
        flags = {"output_hidden_states": "loss_cos" in self.alphas, "return_dict": True}
        expected = self._teacher_output({**inputs, **flags})
        output = self._student_output(student, {**inputs, **labels, **flags})
        terms: Terms = {}
        smoothing, class_weights = self._training.label_smoothing, self._training.class_weights
        if "loss_ce" in self.alphas:
            terms["loss_ce"] = self._soft_target_loss(output, expected, {**inputs, **labels})
        if "loss_task" in self.alphas:
            terms["loss_task"] = output.loss
            if smoothing or class_weights:
                targets = labels["labels"], smoothing, class_weights
                terms["loss_task"] = self.losses.smoothed_cross_entropy(output.logits, *targets)
        if "loss_cos" in self.alphas:
            hidden = output.hidden_states[-1], expected.hidden_states[-1]
            terms["loss_cos"] = self._cosine_loss(*hidden, self.teachers.token_mask(inputs))
        return terms

    def _soft_target_loss(self, student: Any, teacher: Any, inputs: Tensors) -> Any:
        """Return the loss of a task's outputs against a teacher's.

        One label (regression) has no distribution: there what the teacher gives stands as the label.

        Args:
            student: The student's output.
            teacher: The teacher's, for the same inputs.
            inputs: The arguments of both, labels among them.
        """
        soft_targets, temperature = self.soft_targets, self.options.temperature
        if self._head == "ForQuestionAnswering":
            return soft_targets.position_divergence(student, teacher, inputs, temperature)
        labels, logits, mask = inputs["labels"], (student.logits, teacher.logits), None
        problem = "single_label_classification"
        if self._head == "ForSequenceClassification":
            problem = self.losses.problem_type(len(student.logits.shape), labels, self._config)
            if inputs.get("segment_ids") is not None:
                mask = soft_targets.has_segment(student.logits, inputs["segment_ids"])  # (batch, num_segments)
        if problem == "regression":
            return self.losses.sequence_classification_loss(*logits, self._config, mask)
        if problem == "multi_label_classification":
            return soft_targets.label_divergence(*logits, mask, temperature)
        return soft_targets.class_divergence(*logits, labels, mask, temperature, self._training.class_weights)

    @staticmethod
    @abstractmethod
    def _head_of(model: Any) -> str:
        """Return the end of a model's class name, as "ForMaskedLM"."""

    @abstractmethod
    def _student_states(self, student: Any, inputs: Tensors) -> Any:
        """Return the student's last hidden states (batch, seq, dim)."""

    @abstractmethod
    def _teacher_states(self, inputs: Tensors) -> Any:
        """Return the teacher's last hidden states (batch, seq, teacher's dim), without gradients."""

    @abstractmethod
    def _student_output(self, student: Any, arguments: Tensors) -> Any:
        """Return what the student gives in training."""

    @abstractmethod
    def _teacher_output(self, arguments: Tensors) -> Any:
        """Return what the teacher gives, without gradients."""

    @abstractmethod
    def _student_logits(self, student: Any, hidden: Any) -> Any:
        """Return a masked LM's logits: (batch, seq, dim) -> (batch, seq, vocab)."""

    @abstractmethod
    def _teacher_logits(self, hidden: Any) -> Any:
        """Return the teacher's logits without gradients: (batch, seq, teacher's dim) -> (batch, seq, vocab)."""

    @abstractmethod
    def _labels_loss(self, student: Any, hidden: Any, labels: Any) -> Any:
        """Return the masked-LM loss of labels alone, without logits: a scalar."""

    @abstractmethod
    def _cosine_loss(self, hidden: Any, expected: Any, mask: Any) -> Any:
        """Return the mean of 1 minus the cosine of hidden states (batch, seq, …) over the tokens of a mask."""

    @abstractmethod
    def _can_chunk(self, student: Any, hidden: Any) -> bool:
        """Whether the loss is that of the paper, and can be computed without logits."""

    @abstractmethod
    def _chunked_terms(
        self, student: Any, hidden: Any, labels: Any, soft: Any, predictions: Tensors, weights: Mapping[str, Any]
    ) -> tuple[Any, Terms]:
        """Return the weighted sum of the terms that are of logits, and these terms, without logits."""


def weighted(terms: Terms, weights: Mapping[str, Any]) -> tuple[Any, Terms]:
    """Return the sum of terms, each times its weight, and the terms."""
    return sum(weights[name] * term for name, term in terms.items()), terms
