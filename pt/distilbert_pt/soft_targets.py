"""Losses against what a teacher predicts, in PyTorch; `distilbert_common.soft_targets.SoftTargets` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.soft_targets import Inputs
from distilbert_pt import losses
from distilbert_pt.segments import segment_onehot

__all__ = ["class_divergence", "has_segment", "label_divergence", "position_divergence", "top_divergence"]


def has_segment(logits: Tensor, segment_ids: Tensor) -> Tensor:
    """(batch, num_segments, num_labels), (batch, seq) -> bool (batch, num_segments): which segments there are."""
    return segment_onehot(segment_ids, logits.size(1)).any(dim=-1)


def label_divergence(student_logits: Tensor, teacher_logits: Tensor, mask: Tensor | None, temperature: float) -> Tensor:
    """Mean of `binary_divergence`, where the mask is True."""
    divergences = binary_divergence(student_logits, teacher_logits, temperature)  # (batch, …, num_labels)
    mask = torch.ones_like(divergences, dtype=torch.bool) if mask is None else mask
    return losses.masked_mean(divergences, mask) * temperature**2


def binary_divergence(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL(teacher, student) of each label by itself, there or not: (…, num_labels) twice -> (…, num_labels)."""
    student, teacher = student_logits.float() / temperature, teacher_logits.float() / temperature
    present = teacher.sigmoid() * (F.logsigmoid(teacher) - F.logsigmoid(student))
    return present + (-teacher).sigmoid() * (F.logsigmoid(-teacher) - F.logsigmoid(-student))


def class_divergence(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, mask: Tensor | None, temperature: float,
    class_weights: Sequence[float] | None,
) -> Tensor:  # fmt: skip
    """Mean of the divergences of classes (…, num_labels), each times the weight of its label."""
    labels = labels if mask is None else labels.where(mask, IGNORE_INDEX)
    classes = student_logits.size(-1)
    weights = student_logits.new_ones(classes) if class_weights is None else student_logits.new_tensor(class_weights)
    weights = weights.float()[labels.clamp(min=0)].where(labels != IGNORE_INDEX, 0)  # (batch, …)
    total = (losses.kl_divergence(student_logits, teacher_logits, temperature) * weights).sum() * temperature**2
    return total / weights.sum().where(weights.sum() > 0, 1)


def position_divergence(student: Any, teacher: Any, inputs: Inputs, temperature: float) -> Tensor:
    """Mean of the divergences of start and end over the sequences: over each segment, or what the mask attends to."""
    segment_ids, mask = inputs.get("segment_ids"), inputs.get("attention_mask")
    if segment_ids is not None:
        within = segment_onehot(segment_ids, inputs["start_positions"].size(1))  # (batch, num_segments, seq)
    else:
        within = torch.ones_like(student.start_logits, dtype=torch.bool) if mask is None else mask != 0
        within = within[:, None]  # (batch, 1, seq)

    def one(name: str) -> Tensor:
        parts = [getattr(output, name).float()[:, None] for output in (student, teacher)]  # (batch, 1, seq) each
        student_logits, teacher_logits = (logits.where(within, torch.finfo(torch.float32).min) for logits in parts)
        divergences = losses.kl_divergence(student_logits, teacher_logits, temperature)  # (batch, num_segments)
        return losses.masked_mean(divergences, within.any(dim=-1)) * temperature**2

    return (one("start_logits") + one("end_logits")) / 2


def top_divergence(student_logits: Tensor, indices: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL(teacher, student) on the support of the teacher's k most likely tokens: (batch, seq)."""
    student = F.log_softmax(student_logits.float() / temperature, dim=-1).gather(-1, indices.long())
    teacher = F.log_softmax(teacher_logits.float() / temperature, dim=-1)
    return (teacher.exp() * (teacher - student)).sum(-1)  # (batch, seq)
