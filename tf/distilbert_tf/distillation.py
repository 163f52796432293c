"""Distillation: the loss by which a student learns, in Keras; `BaseDistillation` says which terms it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from distilbert_common.base_distillation import BaseDistillation
from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.distillation import check_widths
from distilbert_common.training import EngineOptions
from distilbert_tf import losses, soft_targets, teachers
from distilbert_tf.arrays import Tensor
from distilbert_tf.fast.chunked_cross_entropy import can_chunk
from distilbert_tf.fast.chunked_distillation import ProjectedTargets, Targets, TopTargets, chunked_distillation
from distilbert_tf.framework.precision import compute_in
from distilbert_tf.teachers import detached, encode, logits_of, projection_of

__all__ = ["Distillation"]

Tensors = Mapping[str, Any]
Terms = dict[str, Tensor]


class Distillation(BaseDistillation):
    """How one student learns."""

    losses, soft_targets, teachers = losses, soft_targets, teachers

    def __init__(self, model: Any, options: EngineOptions, teacher: Any) -> None:
        """Check the teacher, and make the projection.

        Args:
            model: The student.
            options: Those of its training, `distillation` among them.
            teacher: A model of the same class, or None. It is taken over: it computes in `teacher_precision`, and is
                not trained any more.

        Raises:
            InputError: The teacher does not fit the student.
        """
        super().__init__(model, options, teacher)
        if teacher is not None:
            teacher.build_all()
            compute_in(teacher, self.options.teacher_precision)
        values = self._initial_projection()
        if values is not None:
            self.projection = keras.Variable(values, name="hidden_projection")

    @property
    def teacher_variables(self) -> list[keras.Variable]:
        """What the loss depends on and is not trained."""
        return [] if self.teacher is None else list(self.teacher.variables)

    @staticmethod
    def _head_of(model: Any) -> str:
        """Return the end of a model's class name, as "ForMaskedLM"."""
        head: str = model.head
        return head

    def _student_states(self, student: Any, inputs: Tensors) -> Tensor:
        """Return the student's last hidden states (batch, seq, dim)."""
        return encode(student, inputs, training=True)

    def _teacher_states(self, inputs: Tensors) -> Tensor:
        """Return the teacher's last hidden states (batch, seq, teacher's dim), without gradients."""
        return ops.stop_gradient(encode(self.teacher, inputs, training=False))

    def _student_output(self, student: Any, arguments: Tensors) -> Any:
        """Return what the student gives in training."""
        return student(**arguments, training=True)

    def _teacher_output(self, arguments: Tensors) -> Any:
        """Return what the teacher gives, without gradients."""
        return detached(self.teacher(**arguments, training=False))

    def _student_logits(self, student: Any, hidden: Tensor) -> Tensor:
        """Return a masked LM's logits: (batch, seq, dim) -> (batch, seq, vocab)."""
        return logits_of(student, student.lm_transform(hidden))

    def _teacher_logits(self, hidden: Tensor) -> Tensor:
        """Return the teacher's logits without gradients: (batch, seq, teacher's dim) -> (batch, seq, vocab)."""
        return ops.stop_gradient(logits_of(self.teacher, self.teacher.lm_transform(hidden)))

    def _labels_loss(self, student: Any, hidden: Tensor, labels: Tensor) -> Tensor:
        """Return the masked-LM loss of labels alone, without logits: a scalar."""
        x = student.lm_transform(hidden)  # (batch, seq, dim)
        return losses.masked_lm_loss(x, *projection_of(student, x.dtype), labels)

    def _cosine_loss(self, hidden: Tensor, expected: Tensor, mask: Tensor) -> Tensor:
        """Return the mean of 1 minus the cosine of hidden states (batch, seq, …) over the tokens of a mask."""
        if self.projection is not None:
            matrix = ops.cast(ops.convert_to_tensor(self.projection), hidden.dtype)  # (teacher's dim, dim)
            hidden = ops.matmul(hidden, ops.transpose(matrix))  # (batch, seq, teacher's dim)
        check_widths(hidden.shape[-1], expected.shape[-1] or hidden.shape[-1])
        return losses.masked_mean(1 - losses.cosine(hidden, ops.stop_gradient(expected)), mask)

    def _can_chunk(self, student: Any, hidden: Tensor) -> bool:
        """Whether the loss is that of the paper, and can be computed in chunks."""
        return can_chunk(hidden) and not (self._training.label_smoothing or self._training.class_weights)

    def _chunked_terms(
        self, student: Any, hidden: Tensor, labels: Tensor, soft: Tensor, predictions: Tensors,
        weights: Mapping[str, Tensor],
    ) -> tuple[Tensor, Terms]:  # fmt: skip
        """Return the weighted sum of the terms that are of logits, and these terms, without logits."""
        labels, soft = ops.cast(ops.reshape(labels, (-1,)), "int32"), ops.reshape(soft, (-1,))  # (tokens,)
        is_labeled = ops.not_equal(labels, IGNORE_INDEX)
        order = ops.argsort(ops.where(is_labeled, 0, ops.where(soft, 1, 2)))  # stable on TensorFlow
        counts = [ops.sum(ops.cast(each, "int32")) for each in (soft, is_labeled)]
        tokens, count = (ops.maximum(ops.cast(each, "float32"), 1.0) for each in counts)
        factor, label_factor = weights["loss_ce"] / tokens, weights.get("loss_mlm", 0.0) / count
        x = student.lm_transform(rows_of(hidden, order))  # (tokens, dim)
        weight, bias = projection_of(student, x.dtype)
        labeled = counts[1] if "loss_mlm" in weights else ops.zeros_like(counts[1])
        total, divergence, cross_entropy = chunked_distillation(
            x, weight, bias, ops.take(labels, order, axis=0), (counts[0], labeled), self._targets(predictions, order),
            self.options.temperature, ops.where(factor > 0, label_factor / ops.where(factor > 0, factor, 1.0), 0.0),
        )  # fmt: skip
        return total * factor, {"loss_ce": divergence / tokens, "loss_mlm": cross_entropy / count}

    def _targets(self, predictions: Tensors, order: Tensor) -> Targets:
        """Return the predictions for the tokens of a batch with indices (tokens,) among batch * seq."""
        chosen = {name: rows_of(x, order) for name, x in predictions.items()}  # (tokens, …)
        if "indices" in chosen:
            return TopTargets(chosen["indices"], chosen["logits"])
        x = ops.stop_gradient(self.teacher.lm_transform(chosen["hidden"]))  # (tokens, teacher's dim)
        return ProjectedTargets(x, *(ops.stop_gradient(each) for each in projection_of(self.teacher, x.dtype)))


def rows_of(x: Tensor, order: Tensor) -> Tensor:
    """Return the tokens of a batch with indices (tokens,): (batch, seq, …) -> (tokens, …)."""
    return ops.take(ops.reshape(x, (-1, ops.shape(x)[-1])), order, axis=0)
