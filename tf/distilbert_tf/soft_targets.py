"""Losses against what a teacher predicts: means of KL(teacher, student), both softened by a temperature.

Each is times the temperature's square, so that its gradients keep their size, and counts what the task's own loss does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras import ops

from distilbert_common import DistilBertConfig
from distilbert_common.constants import IGNORE_INDEX, MASKED_SCORE
from distilbert_tf import losses
from distilbert_tf.arrays import Tensor
from distilbert_tf.layout import segment_onehot

__all__ = ["binary_divergence", "position_divergence", "soft_target_loss", "top_divergence"]

Inputs = Mapping[str, Any]


def soft_target_loss(
    head: str,
    student: Any,
    teacher: Any,
    inputs: Inputs,
    config: DistilBertConfig,
    temperature: float,
    class_weights: Sequence[float] | None = None,
) -> Tensor:
    """Return the loss of a task's outputs against a teacher's.

    One label (regression) has no distribution: there it is the mean of squared differences.

    Args:
        head: The end of both models' class name, as "ForTokenClassification".
        student: The student's output.
        teacher: The teacher's, for the same inputs.
        inputs: The arguments of both, labels among them.
        config: The student's config.
        temperature: What logits are divided by.
        class_weights: What each class counts, by the label; None for one each.
    """
    if head == "ForQuestionAnswering":
        return position_divergence(student, teacher, inputs, temperature)
    labels, logits, mask, problem = inputs["labels"], student.logits, None, "single_label_classification"
    if head == "ForSequenceClassification":
        problem = losses.problem_type(len(logits.shape), labels, config)
        if inputs.get("segment_ids") is not None:
            mask = ops.any(
                segment_onehot(inputs["segment_ids"], ops.shape(logits)[1]), axis=-1
            )  # (batch, num_segments)
    if problem == "regression":
        return losses.mean_loss(losses.squared_errors(logits, ops.reshape(teacher.logits, ops.shape(labels)), mask))
    if problem == "multi_label_classification":
        divergences = binary_divergence(logits, teacher.logits, temperature)  # (batch, …, num_labels)
        return losses.masked_mean(divergences, losses.as_counted(mask, divergences)) * temperature**2
    labels = ops.cast(labels, "int32")
    labels = labels if mask is None else ops.where(mask, labels, IGNORE_INDEX)
    counts = ops.not_equal(labels, IGNORE_INDEX)  # (batch, …)
    weights = ops.cast(counts, "float32")
    if class_weights is not None:
        by_class = ops.convert_to_tensor(class_weights, "float32")  # (classes,)
        weights = weights * ops.take(by_class, ops.where(counts, labels, 0))
    total = ops.sum(losses.kl_divergence(logits, teacher.logits, temperature) * weights) * temperature**2
    count = ops.sum(weights)
    return total / ops.where(count > 0, count, 1.0)


def binary_divergence(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL(teacher, student) of each label by itself, there or not: (…, num_labels) twice -> (…, num_labels)."""
    student, teacher = (ops.cast(logits, "float32") / temperature for logits in (student_logits, teacher_logits))
    there = ops.sigmoid(teacher) * (ops.log_sigmoid(teacher) - ops.log_sigmoid(student))
    return there + ops.sigmoid(-teacher) * (ops.log_sigmoid(-teacher) - ops.log_sigmoid(-student))


def position_divergence(student: Any, teacher: Any, inputs: Inputs, temperature: float) -> Tensor:
    """Mean of the divergences of start and end, times the temperature's square, over the sequences.

    Args:
        student: An output with `start_logits` and `end_logits` (batch, seq).
        teacher: Another one.
        inputs: The arguments of both; positions run over each segment, or over what the mask attends to.
        temperature: What logits are divided by.
    """
    segment_ids, mask = inputs.get("segment_ids"), inputs.get("attention_mask")
    if segment_ids is not None:
        within = segment_onehot(segment_ids, ops.shape(inputs["start_positions"])[1])  # (batch, num_segments, seq)
    else:
        logits = student.start_logits
        within = ops.ones_like(logits, dtype="bool") if mask is None else ops.not_equal(mask, 0)
        within = within[:, None]  # (batch, 1, seq)

    def one(name: str) -> Tensor:
        parts = [ops.cast(getattr(output, name), "float32")[:, None] for output in (student, teacher)]
        own, expected = (ops.where(within, logits, MASKED_SCORE) for logits in parts)  # (batch, num_segments, seq)
        divergences = losses.kl_divergence(own, expected, temperature)  # (batch, num_segments)
        return losses.masked_mean(divergences, ops.any(within, axis=-1)) * temperature**2

    return (one("start_logits") + one("end_logits")) / 2


def top_divergence(student_logits: Tensor, indices: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL(teacher, student) on the support of the teacher's most likely tokens.

    The teacher's probability is divided among these tokens anew; the student's is that among all tokens. With all
    tokens among them it is `losses.kl_divergence`.

    Args:
        student_logits: (batch, seq, vocab).
        indices: (batch, seq, k) integers in the vocabulary.
        teacher_logits: (batch, seq, k), the teacher's logits of these.
        temperature: What logits are divided by.

    Returns:
        (batch, seq).
    """
    student = ops.log_softmax(ops.cast(student_logits, "float32") / temperature, axis=-1)
    teacher = ops.log_softmax(ops.cast(teacher_logits, "float32") / temperature, axis=-1)
    own = ops.take_along_axis(student, indices, axis=-1)  # (batch, seq, k)
    return ops.sum(ops.exp(teacher) * (teacher - own), axis=-1)  # (batch, seq)
