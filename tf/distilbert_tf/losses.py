"""The task losses and the distillation triple loss: stateless functions that return scalar float32 means.

Labels that are all ignored give 0, not NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import keras
from keras import ops

from distilbert_common import DistilBertConfig
from distilbert_tf.arrays import Tensor
from distilbert_tf.attention import MASKED_SCORE
from distilbert_tf.checks import check_labels
from distilbert_tf.segments import belongs

IGNORED = -100
"""The label that counts for nothing."""


def cross_entropy(logits: Tensor, labels: Tensor, ignored: int = IGNORED) -> Tensor:
    """Mean cross-entropy over the labels that are not ignored.

    Args:
        logits: (..., classes).
        labels: (...) integers.
        ignored: The label that counts for nothing.

    Returns:
        A scalar; NaN where traced code brings a label that is no class, which cannot be refused there.

    Raises:
        InputError: A label is neither a class nor ignored.
    """
    check_labels(labels, logits.shape[-1], ignored)
    classes = ops.shape(logits)[-1]
    logits = ops.cast(ops.reshape(logits, (-1, classes)), "float32")  # (rows, classes)
    labels = ops.cast(ops.reshape(labels, (-1,)), "int32")  # (rows,)
    known = ops.logical_and(labels >= 0, labels < classes)  # (rows,)
    each = ops.sparse_categorical_crossentropy(ops.where(known, labels, 0), logits, from_logits=True)  # (rows,)
    return masked_mean(ops.where(known, each, float("nan")), ops.not_equal(labels, ignored))


def mean_squared_error(logits: Tensor, labels: Tensor, real: Tensor | None = None) -> Tensor:
    """Mean of squared differences, where `real`; (batch, 1) logits meet (batch,) labels."""
    logits = ops.reshape(ops.cast(logits, "float32"), ops.shape(labels))
    return mean_of_real(ops.square(logits - ops.cast(labels, "float32")), real)


def binary_cross_entropy(logits: Tensor, labels: Tensor, real: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy, where `real`, of logits (…, num_labels) with 0/1 labels of their shape, any dtype."""
    logits, labels = ops.cast(logits, "float32"), ops.cast(labels, "float32")
    return mean_of_real(ops.binary_crossentropy(labels, logits, from_logits=True), real)


def classification_cross_entropy(logits: Tensor, labels: Tensor, real: Tensor | None = None) -> Tensor:
    """`cross_entropy` of logits (…, num_labels) and labels (…), where `real`."""
    if real is None:
        return cross_entropy(logits, labels)
    labels = ops.cast(labels, "int32")
    return cross_entropy(logits, ops.where(real, labels, IGNORED))


LOSSES = {
    "regression": mean_squared_error,
    "single_label_classification": classification_cross_entropy,
    "multi_label_classification": binary_cross_entropy,
}


def sequence_classification_loss(
    logits: Tensor, labels: Tensor, config: DistilBertConfig, real: Tensor | None = None
) -> Tensor:
    """The loss of the config's problem type, or of the one that labels and `num_labels` imply.

    One label means regression, integer labels (batch,) a single label, anything else several labels: transformers'
    rule, except that the config is not changed, and that integer labels (batch, num_labels) count as several labels.

    Args:
        logits: (batch, num_labels), or (batch, num_segments, num_labels) of packed rows.
        labels: (batch,) or (batch, num_labels); of packed rows (batch, num_segments, …).
        config: What says the problem type and `num_labels`.
        real: (batch, num_segments), which segments there are; the others count for nothing.
    """
    problem = config.problem_type
    if problem is None:
        single = not keras.backend.is_float_dtype(labels.dtype) and len(labels.shape) < len(logits.shape)
        problem = "single_label_classification" if single else "multi_label_classification"
        problem = "regression" if config.num_labels == 1 else problem
    return LOSSES[problem](logits, labels, real)


def question_answering_loss(
    start_logits: Tensor, end_logits: Tensor, start_positions: Tensor, end_positions: Tensor
) -> Tensor:
    """Mean of the cross-entropies of start and end, (batch, seq) logits and (batch,) or (batch, 1) positions.

    A position past the end of the sequence or below 0 is ignored.
    """
    seq = ops.shape(start_logits)[1]

    def one(logits: Tensor, positions: Tensor) -> Tensor:
        positions = ops.cast(ops.reshape(positions, (-1,)), "int32")  # (batch,)
        inside = ops.logical_and(positions >= 0, positions < seq)
        return cross_entropy(logits, ops.where(inside, positions, IGNORED))

    return (one(start_logits, start_positions) + one(end_logits, end_positions)) / 2


def packed_question_answering_loss(
    start_logits: Tensor, end_logits: Tensor, start_positions: Tensor, end_positions: Tensor, segment_ids: Tensor
) -> Tensor:
    """`question_answering_loss` of packed rows: each segment by itself.

    Args:
        start_logits: (batch, seq).
        end_logits: (batch, seq).
        start_positions: (batch, num_segments), counted from the segment's first token.
        end_positions: (batch, num_segments).
        segment_ids: (batch, seq).
    """
    own = belongs(segment_ids, ops.shape(start_positions)[1])  # (batch, num_segments, seq)
    numbers = ops.cast(own, "int32")
    sizes, firsts = ops.sum(numbers, axis=-1), ops.cast(ops.argmax(numbers, axis=-1), "int32")

    def one(logits: Tensor, positions: Tensor) -> Tensor:
        positions = ops.cast(positions, "int32")  # (batch, num_segments)
        alone = ops.where(own, ops.cast(logits, "float32")[:, None], MASKED_SCORE)  # (batch, num_segments, seq)
        inside = ops.logical_and(positions >= 0, positions < sizes)
        return cross_entropy(alone, ops.where(inside, firsts + positions, IGNORED))

    return (one(start_logits, start_positions) + one(end_logits, end_positions)) / 2


class DistillationLoss(NamedTuple):
    """The triple loss and its unweighted parts, all scalar."""

    total: Tensor
    ce: Tensor
    mlm: Tensor
    cos: Tensor


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
    real = ops.cast(attention_mask, "bool")  # (batch, seq)
    soft = ops.logical_and(real, ops.not_equal(labels, IGNORED)) if restrict_ce_to_mask else real  # (batch, seq)
    teacher_logits, teacher_hidden = ops.stop_gradient(teacher_logits), ops.stop_gradient(teacher_hidden)
    ce = masked_mean(kl_divergence(student_logits, teacher_logits, temperature), soft) * temperature**2
    mlm = cross_entropy(student_logits, labels)
    cos = masked_mean(1 - cosine(student_hidden, teacher_hidden), real)
    return DistillationLoss(alpha_ce * ce + alpha_mlm * mlm + alpha_cos * cos, ce, mlm, cos)


def kl_divergence(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL(teacher, student) of the softened distributions: (batch, seq, vocab) twice -> (batch, seq)."""
    student = ops.log_softmax(ops.cast(student_logits, "float32") / temperature, axis=-1)
    teacher = ops.log_softmax(ops.cast(teacher_logits, "float32") / temperature, axis=-1)
    return ops.sum(ops.exp(teacher) * (teacher - student), axis=-1)  # (batch, seq)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarity with PyTorch's 1e-12 beside each squared norm: (..., dim) twice -> (...)."""
    a, b = ops.cast(a, "float32"), ops.cast(b, "float32")
    squares = (ops.sum(a * a, axis=-1) + 1e-12) * (ops.sum(b * b, axis=-1) + 1e-12)
    return ops.sum(a * b, axis=-1) / ops.sqrt(squares)


def mean_of_real(values: Tensor, real: Tensor | None) -> Tensor:
    """Mean of the values (batch, num_segments, …) of those segments that there are; of all values when None."""
    if real is None:
        return ops.mean(values)
    for _ in range(len(values.shape) - len(real.shape)):
        real = ops.expand_dims(real, -1)  # (batch, num_segments, 1, ...)
    return masked_mean(values, ops.broadcast_to(real, ops.shape(values)))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values whose mask is True; 0 where there is none."""
    count = ops.maximum(ops.sum(ops.cast(mask, "float32")), 1.0)
    return ops.sum(ops.where(mask, values, 0.0)) / count
