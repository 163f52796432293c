"""The task losses and the distillation triple loss: stateless functions that return scalar float32 means.

Labels that are all ignored give 0, not NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from distilbert_common import DistilBertConfig, DistillationLoss
from distilbert_common.constants import IGNORE_INDEX, is_fast
from distilbert_common.problem_types import implied_problem_type
from distilbert_pt.fast.chunked_cross_entropy import chunked_cross_entropy
from distilbert_pt.fast.onednn import is_transformed
from distilbert_pt.segments import segment_onehot

__all__ = [
    "binary_cross_entropy",
    "classification_cross_entropy",
    "cosine",
    "cross_entropy",
    "distillation_loss",
    "kl_divergence",
    "masked_lm_loss",
    "masked_mean",
    "mean_squared_error",
    "question_answering_loss",
    "sequence_classification_loss",
    "smoothed_cross_entropy",
]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over the labels that are not `IGNORE_INDEX`: (…, classes), (…) integers -> a scalar."""
    logits, labels = logits.flatten(0, -2).float(), labels.flatten().long()  # (rows, classes), (rows,)
    total = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="sum")
    return total / (labels != IGNORE_INDEX).sum().clamp(min=1)


def smoothed_cross_entropy(
    logits: Tensor, labels: Tensor, label_smoothing: float, class_weights: Sequence[float] | None = None
) -> Tensor:
    """`cross_entropy` with PyTorch's label smoothing and class weights, as `EngineOptions` describes them.

    The mean divides by the labels' weights.
    """
    logits, labels = logits.flatten(0, -2).float(), labels.flatten().long()  # (rows, classes), (rows,)
    weights = logits.new_ones(logits.size(-1)) if class_weights is None else logits.new_tensor(class_weights)
    total = F.cross_entropy(
        logits, labels, weights, ignore_index=IGNORE_INDEX, reduction="sum", label_smoothing=label_smoothing
    )
    count = weights[labels.clamp(min=0)].where(labels != IGNORE_INDEX, 0).sum()
    return total / count.where(count > 0, 1)


def masked_lm_loss(x: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor) -> Tensor:
    """Mean cross-entropy of `x @ weight.T + bias` with labels; 0 where there are none.

    Args:
        x: (tokens, dim), at labeled positions only.
        weight: (vocab, dim).
        bias: (vocab,), or None.
        labels: (tokens,) integers.
    """
    if bias is not None and is_fast() and not is_transformed():
        return chunked_cross_entropy(x, weight, bias, labels)
    return cross_entropy(F.linear(x, weight, bias), labels)


def mean_squared_error(logits: Tensor, labels: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of squared differences, where the mask is True; (batch, 1) logits meet (batch,) labels."""
    logits, labels = logits.float().reshape(labels.shape), labels.float()
    if mask is None:
        return F.mse_loss(logits, labels)
    return masked_mean(F.mse_loss(logits, labels, reduction="none"), mask)


def binary_cross_entropy(logits: Tensor, labels: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy of logits (…, num_labels) with 0/1 labels of any dtype, where the mask is True."""
    if mask is None:
        return F.binary_cross_entropy_with_logits(logits.float(), labels.float())
    return masked_mean(F.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="none"), mask)


def classification_cross_entropy(logits: Tensor, labels: Tensor, mask: Tensor | None = None) -> Tensor:
    """`cross_entropy` of logits (…, num_labels) and labels (…), where the mask is True."""
    return cross_entropy(logits, labels if mask is None else labels.where(mask, IGNORE_INDEX))


LOSSES = {
    "regression": mean_squared_error,
    "single_label_classification": classification_cross_entropy,
    "multi_label_classification": binary_cross_entropy,
}


def sequence_classification_loss(
    logits: Tensor, labels: Tensor, config: DistilBertConfig, mask: Tensor | None = None
) -> Tensor:
    """The loss of the config's problem type, or of the one that labels and `num_labels` imply.

    One label means regression, integer labels (batch,) a single label, anything else several labels: transformers'
    rule, except that the config is not changed, and that integer labels (batch, num_labels) count as several labels.

    Args:
        logits: (batch, num_labels), or (batch, num_segments, num_labels) of packed rows.
        labels: (batch,) or (batch, num_labels); of packed rows (batch, num_segments, …).
        config: What says the problem type and `num_labels`.
        mask: (batch, num_segments), which segments there are; the others count for nothing.
    """
    return LOSSES[problem_type(logits.dim(), labels, config)](logits, labels, mask)


def problem_type(logits_ndim: int, labels: Tensor, config: DistilBertConfig) -> str:
    """Return the key of `LOSSES` that the config names, or that labels and `num_labels` imply."""
    is_single = not labels.is_floating_point() and labels.dim() < logits_ndim
    return implied_problem_type(config, is_single=is_single)


def question_answering_loss(
    start_logits: Tensor,
    end_logits: Tensor,
    start_positions: Tensor,
    end_positions: Tensor,
    segment_ids: Tensor | None = None,
) -> Tensor:
    """Mean of the cross-entropies of start and end; a position past the end or below 0 is ignored.

    Args:
        start_logits: (batch, seq).
        end_logits: (batch, seq).
        start_positions: (batch,) or (batch, 1); of packed rows (batch, num_segments), counted from each segment's
            first token.
        end_positions: As `start_positions`.
        segment_ids: (batch, seq) of packed rows: each segment counts by itself.
    """
    if segment_ids is not None:
        return packed_question_answering_loss(start_logits, end_logits, start_positions, end_positions, segment_ids)
    seq = start_logits.size(1)

    def one(logits: Tensor, positions: Tensor) -> Tensor:
        positions = positions.reshape(-1)  # (batch,)
        return cross_entropy(logits, torch.where((positions >= 0) & (positions < seq), positions, IGNORE_INDEX))

    return (one(start_logits, start_positions) + one(end_logits, end_positions)) / 2


def packed_question_answering_loss(
    start_logits: Tensor, end_logits: Tensor, start_positions: Tensor, end_positions: Tensor, segment_ids: Tensor
) -> Tensor:
    """`question_answering_loss` of packed rows."""
    onehot = segment_onehot(segment_ids, start_positions.size(1))  # (batch, num_segments, seq)
    sizes, firsts = onehot.sum(-1), onehot.int().argmax(-1)  # (batch, num_segments)

    def one(logits: Tensor, positions: Tensor) -> Tensor:
        alone = logits.float()[:, None].where(onehot, torch.finfo(torch.float32).min)  # (batch, num_segments, seq)
        inside = (positions >= 0) & (positions < sizes)  # (batch, num_segments)
        return cross_entropy(alone, (firsts + positions).where(inside, IGNORE_INDEX))

    return (one(start_logits, start_positions) + one(end_logits, end_positions)) / 2


def distillation_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    student_hidden: Tensor,
    teacher_hidden: Tensor,
    attention_mask: Tensor,
    *,
    temperature: float = 2.0,
    alpha_ce: float = 5.0,
    alpha_mlm: float = 2.0,
    alpha_cos: float = 1.0,
    restrict_ce_to_mask: bool = False,
) -> DistillationLoss:
    """The paper's loss: soft targets, masked LM and cosine (Sanh et al., arXiv 1910.01108, section 2).

    This is the definition, of whole logits. Training computes the same in `BaseDistillation`, where it can without
    having whole logits in memory.

    Args:
        student_logits: (batch, seq, vocab).
        teacher_logits: (batch, seq, vocab); no gradient flows into the teacher.
        labels: (batch, seq) integers, -100 where no token was masked.
        student_hidden: (batch, seq, dim), the student's last hidden state.
        teacher_hidden: (batch, seq, dim), the teacher's: the same width.
        attention_mask: (batch, seq); zero marks padding, which counts nowhere.
        temperature: Softening of both distributions.
        alpha_ce: Weight of the soft-target loss.
        alpha_mlm: Weight of the masked-LM loss.
        alpha_cos: Weight of the cosine loss.
        restrict_ce_to_mask: Whether soft targets count at masked tokens only.

    Returns:
        The weighted sum and the three parts; a part with no token to count is 0.
    """
    mask = attention_mask != 0  # (batch, seq)
    soft = mask & (labels != IGNORE_INDEX) if restrict_ce_to_mask else mask  # (batch, seq)
    ce = masked_mean(kl_divergence(student_logits, teacher_logits.detach(), temperature), soft) * temperature**2
    mlm = cross_entropy(student_logits, labels)
    cos = masked_mean(1 - cosine(student_hidden, teacher_hidden.detach()), mask)
    return DistillationLoss(alpha_ce * ce + alpha_mlm * mlm + alpha_cos * cos, ce, mlm, cos)


def kl_divergence(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL(teacher, student) of the softened distributions: (batch, seq, vocab) twice -> (batch, seq)."""
    student = F.log_softmax(student_logits.float() / temperature, dim=-1)
    teacher = F.log_softmax(teacher_logits.float() / temperature, dim=-1)
    return (teacher.exp() * (teacher - student)).sum(-1)  # (batch, seq)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarity with PyTorch's 1e-12 beside each squared norm: (..., dim) twice -> (...)."""
    a, b = a.float(), b.float()
    return (a * b).sum(-1) / ((a.square().sum(-1) + 1e-12) * (b.square().sum(-1) + 1e-12)).sqrt()


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values whose mask, of all axes or the first ones, is True; 0 where there is none."""
    mask = mask.reshape(*mask.shape, *(1,) * (values.dim() - mask.dim())).expand_as(values)
    return values.where(mask, 0).sum() / mask.sum().clamp(min=1)
