"""Losses against what a teacher predicts: means of KL(teacher, student), both softened by a temperature.

Each is times the temperature's square, so that its gradients keep their size, and counts what the task's own loss does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from distilbert_common import DistilBertConfig
from distilbert_common.constants import IGNORE_INDEX, MASKED_SCORE
from distilbert_flax import losses
from distilbert_flax.layout import segment_onehot

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
) -> Array:
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
        problem = losses.problem_type(logits.ndim, labels, config)
        if inputs.get("segment_ids") is not None:
            mask = segment_onehot(inputs["segment_ids"], logits.shape[1]).any(axis=-1)  # (batch, num_segments)
    if problem == "regression":
        return losses.mean_squared_error(logits, teacher.logits.reshape(labels.shape), mask)
    if problem == "multi_label_classification":
        divergences = binary_divergence(logits, teacher.logits, temperature)  # (batch, …, num_labels)
        return losses.mean_where(divergences, mask) * temperature**2
    labels = labels if mask is None else jnp.where(mask, labels, IGNORE_INDEX)
    classes = logits.shape[-1]
    weights = jnp.ones(classes) if class_weights is None else jnp.asarray(class_weights, jnp.float32)  # (classes,)
    weights = jnp.where(labels != IGNORE_INDEX, weights[jnp.maximum(labels, 0)], 0)  # (batch, …)
    total = (losses.kl_divergence(logits, teacher.logits, temperature) * weights).sum() * temperature**2
    return total / jnp.where(weights.sum() > 0, weights.sum(), 1)


def binary_divergence(student_logits: Array, teacher_logits: Array, temperature: float) -> Array:
    """KL(teacher, student) of each label by itself, there or not: (…, num_labels) twice -> (…, num_labels)."""
    student, teacher = (logits.astype(jnp.float32) / temperature for logits in (student_logits, teacher_logits))
    there = jax.nn.sigmoid(teacher) * (jax.nn.log_sigmoid(teacher) - jax.nn.log_sigmoid(student))
    return there + jax.nn.sigmoid(-teacher) * (jax.nn.log_sigmoid(-teacher) - jax.nn.log_sigmoid(-student))


def position_divergence(student: Any, teacher: Any, inputs: Inputs, temperature: float) -> Array:
    """Mean of the divergences of start and end, times the temperature's square, over the sequences.

    Args:
        student: An output with `start_logits` and `end_logits` (batch, seq).
        teacher: Another one.
        inputs: The arguments of both; positions run over each segment, or over what the mask attends to.
        temperature: What logits are divided by.
    """
    segment_ids, mask = inputs.get("segment_ids"), inputs.get("attention_mask")
    if segment_ids is not None:
        within = segment_onehot(segment_ids, inputs["start_positions"].shape[1])  # (batch, num_segments, seq)
    else:
        within = jnp.ones(student.start_logits.shape, bool) if mask is None else mask != 0
        within = within[:, None]  # (batch, 1, seq)

    def one(name: str) -> Array:
        parts = [getattr(output, name).astype(jnp.float32)[:, None] for output in (student, teacher)]  # (batch, 1, seq)
        own, expected = (jnp.where(within, logits, MASKED_SCORE) for logits in parts)
        divergences = losses.kl_divergence(own, expected, temperature)  # (batch, num_segments)
        return losses.masked_mean(divergences, within.any(axis=-1)) * temperature**2

    return (one("start_logits") + one("end_logits")) / 2


def top_divergence(student_logits: Array, indices: Array, teacher_logits: Array, temperature: float) -> Array:
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
    student = jax.nn.log_softmax(student_logits.astype(jnp.float32) / temperature)
    teacher = jax.nn.log_softmax(teacher_logits.astype(jnp.float32) / temperature)
    own = jnp.take_along_axis(student, indices, axis=-1)  # (batch, seq, k)
    return (jnp.exp(teacher) * (teacher - own)).sum(-1)  # (batch, seq)
