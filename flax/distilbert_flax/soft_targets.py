"""Losses against what a teacher predicts, in Flax; `distilbert_common.soft_targets.SoftTargets` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from distilbert_common.constants import IGNORE_INDEX, MASKED_SCORE
from distilbert_common.soft_targets import Inputs
from distilbert_flax import losses
from distilbert_flax.segments import segment_onehot

__all__ = ["class_divergence", "has_segment", "label_divergence", "position_divergence", "top_divergence"]


def has_segment(logits: Array, segment_ids: Array) -> Array:
    """(batch, num_segments, num_labels), (batch, seq) -> bool (batch, num_segments): which segments there are."""
    return segment_onehot(segment_ids, logits.shape[1]).any(axis=-1)


def label_divergence(student_logits: Array, teacher_logits: Array, mask: Array | None, temperature: float) -> Array:
    """Mean of `binary_divergence`, where the mask is True."""
    divergences = binary_divergence(student_logits, teacher_logits, temperature)  # (batch, …, num_labels)
    return losses.mean_where(divergences, mask) * temperature**2


def binary_divergence(student_logits: Array, teacher_logits: Array, temperature: float) -> Array:
    """KL(teacher, student) of each label by itself, there or not: (…, num_labels) twice -> (…, num_labels)."""
    student, teacher = (logits.astype(jnp.float32) / temperature for logits in (student_logits, teacher_logits))
    present = jax.nn.sigmoid(teacher) * (jax.nn.log_sigmoid(teacher) - jax.nn.log_sigmoid(student))
    return present + jax.nn.sigmoid(-teacher) * (jax.nn.log_sigmoid(-teacher) - jax.nn.log_sigmoid(-student))


def class_divergence(
    student_logits: Array, teacher_logits: Array, labels: Array, mask: Array | None, temperature: float,
    class_weights: Sequence[float] | None,
) -> Array:  # fmt: skip
    """Mean of the divergences of classes (…, num_labels), each times the weight of its label."""
    labels = labels if mask is None else jnp.where(mask, labels, IGNORE_INDEX)
    classes = student_logits.shape[-1]
    weights = jnp.ones(classes) if class_weights is None else jnp.asarray(class_weights, jnp.float32)  # (classes,)
    weights = jnp.where(labels != IGNORE_INDEX, weights[jnp.maximum(labels, 0)], 0)  # (batch, …)
    total = (losses.kl_divergence(student_logits, teacher_logits, temperature) * weights).sum() * temperature**2
    return total / jnp.where(weights.sum() > 0, weights.sum(), 1)


def position_divergence(student: Any, teacher: Any, inputs: Inputs, temperature: float) -> Array:
    """Mean of the divergences of start and end over the sequences: over each segment, or what the mask attends to."""
    segment_ids, mask = inputs.get("segment_ids"), inputs.get("attention_mask")
    if segment_ids is not None:
        within = segment_onehot(segment_ids, inputs["start_positions"].shape[1])  # (batch, num_segments, seq)
    else:
        within = jnp.ones(student.start_logits.shape, bool) if mask is None else mask != 0
        within = within[:, None]  # (batch, 1, seq)

    def one(name: str) -> Array:
        parts = [getattr(output, name).astype(jnp.float32)[:, None] for output in (student, teacher)]  # (batch, 1, seq)
        student_logits, teacher_logits = (jnp.where(within, logits, MASKED_SCORE) for logits in parts)
        divergences = losses.kl_divergence(student_logits, teacher_logits, temperature)  # (batch, num_segments)
        return losses.masked_mean(divergences, within.any(axis=-1)) * temperature**2

    return (one("start_logits") + one("end_logits")) / 2


def top_divergence(student_logits: Array, indices: Array, teacher_logits: Array, temperature: float) -> Array:
    """KL(teacher, student) on the support of the teacher's k most likely tokens: (batch, seq)."""
    student = jax.nn.log_softmax(student_logits.astype(jnp.float32) / temperature)
    teacher = jax.nn.log_softmax(teacher_logits.astype(jnp.float32) / temperature)
    student_top = jnp.take_along_axis(student, indices, axis=-1)  # (batch, seq, k)
    return (jnp.exp(teacher) * (teacher - student_top)).sum(-1)  # (batch, seq)
