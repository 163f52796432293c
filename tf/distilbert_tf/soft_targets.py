"""Losses against what a teacher predicts, in Keras; `distilbert_common.soft_targets.SoftTargets` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from distilbert_common.constants import IGNORE_INDEX, MASKED_SCORE
from distilbert_common.soft_targets import Inputs
from distilbert_tf import losses
from distilbert_tf.arrays import Tensor
from distilbert_tf.segments import segment_onehot

__all__ = ["class_divergence", "has_segment", "label_divergence", "position_divergence", "top_divergence"]


def has_segment(logits: Tensor, segment_ids: Tensor) -> Tensor:
    """(batch, num_segments, num_labels), (batch, seq) -> bool (batch, num_segments): which segments there are."""
    return ops.any(segment_onehot(segment_ids, ops.shape(logits)[1]), axis=-1)


def label_divergence(student_logits: Tensor, teacher_logits: Tensor, mask: Tensor | None, temperature: float) -> Tensor:
    """Mean of `binary_divergence`, where the mask is True."""
    divergences = binary_divergence(student_logits, teacher_logits, temperature)  # (batch, …, num_labels)
    return losses.masked_mean(divergences, losses.as_counted(mask, divergences)) * temperature**2


def binary_divergence(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL(teacher, student) of each label by itself, there or not: (…, num_labels) twice -> (…, num_labels)."""
    student, teacher = (ops.cast(logits, "float32") / temperature for logits in (student_logits, teacher_logits))
    present = ops.sigmoid(teacher) * (ops.log_sigmoid(teacher) - ops.log_sigmoid(student))
    return present + ops.sigmoid(-teacher) * (ops.log_sigmoid(-teacher) - ops.log_sigmoid(-student))


def class_divergence(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, mask: Tensor | None, temperature: float,
    class_weights: Sequence[float] | None,
) -> Tensor:  # fmt: skip
    """Mean of the divergences of classes (…, num_labels), each times the weight of its label."""
    labels = ops.cast(labels, "int32")
    labels = labels if mask is None else ops.where(mask, labels, IGNORE_INDEX)
    counts = ops.not_equal(labels, IGNORE_INDEX)  # (batch, …)
    weights = ops.cast(counts, "float32")
    if class_weights is not None:
        by_class = ops.convert_to_tensor(class_weights, "float32")  # (classes,)
        weights = weights * ops.take(by_class, ops.where(counts, labels, 0))
    total = ops.sum(losses.kl_divergence(student_logits, teacher_logits, temperature) * weights) * temperature**2
    count = ops.sum(weights)
    return total / ops.where(count > 0, count, 1.0)


def position_divergence(student: Any, teacher: Any, inputs: Inputs, temperature: float) -> Tensor:
    """Mean of the divergences of start and end over the sequences: over each segment, or what the mask attends to."""
    segment_ids, mask = inputs.get("segment_ids"), inputs.get("attention_mask")
    if segment_ids is not None:
        within = segment_onehot(segment_ids, ops.shape(inputs["start_positions"])[1])  # (batch, num_segments, seq)
    else:
        logits = student.start_logits
        within = ops.ones_like(logits, dtype="bool") if mask is None else ops.not_equal(mask, 0)
        within = within[:, None]  # (batch, 1, seq)

    def one(name: str) -> Tensor:
        parts = [ops.cast(getattr(output, name), "float32")[:, None] for output in (student, teacher)]
        # (batch, num_segments, seq) each
        student_logits, teacher_logits = (ops.where(within, logits, MASKED_SCORE) for logits in parts)
        divergences = losses.kl_divergence(student_logits, teacher_logits, temperature)  # (batch, num_segments)
        return losses.masked_mean(divergences, ops.any(within, axis=-1)) * temperature**2

    return (one("start_logits") + one("end_logits")) / 2


def top_divergence(student_logits: Tensor, indices: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL(teacher, student) on the support of the teacher's k most likely tokens: (batch, seq)."""
    student = ops.log_softmax(ops.cast(student_logits, "float32") / temperature, axis=-1)
    teacher = ops.log_softmax(ops.cast(teacher_logits, "float32") / temperature, axis=-1)
    student_top = ops.take_along_axis(student, indices, axis=-1)  # (batch, seq, k)
    return ops.sum(ops.exp(teacher) * (teacher - student_top), axis=-1)  # (batch, seq)
