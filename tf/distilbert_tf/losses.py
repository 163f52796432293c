"""The task losses and the distillation triple loss: stateless functions that return scalar float32 means.

Labels that are all ignored give 0, not NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import ops

from distilbert_common import DistilBertConfig, DistillationLoss
from distilbert_common.constants import IGNORE_INDEX, MASKED_SCORE
from distilbert_common.problem_types import implied_problem_type
from distilbert_tf.arrays import Tensor
from distilbert_tf.checks import check_labels
from distilbert_tf.fast.chunked_cross_entropy import can_chunk, chunked_cross_entropy
from distilbert_tf.framework import replicas
from distilbert_tf.segments import segment_onehot

__all__ = [
    "Losses",
    "cross_entropies",
    "cross_entropy",
    "distillation_loss",
    "masked_lm_loss",
    "mean_loss",
    "mean_per_example",
    "position_losses",
    "problem_type",
    "question_answering_loss",
    "sequence_classification_loss",
    "sequence_classification_losses",
    "smoothed_cross_entropy",
]


class Losses(NamedTuple):
    """The loss of each example or token, and which of them count; both of one shape, (batch, …)."""

    values: Tensor
    counted: Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over the labels that are not `IGNORE_INDEX`.

    Args:
        logits: (..., classes).
        labels: (...) integers.

    Returns:
        A scalar; NaN where traced code brings a label that is no class, which cannot be refused there.

    Raises:
        InputError: A label is neither a class nor ignored.
    """
    return mean_loss(cross_entropies(logits, labels))


def cross_entropies(logits: Tensor, labels: Tensor) -> Losses:
    """Return the cross-entropy of each label, as `cross_entropy` takes them."""
    check_labels(labels, logits.shape[-1], IGNORE_INDEX)
    *axes, classes = ops.shape(logits)
    logits = ops.cast(ops.reshape(logits, (-1, classes)), "float32")  # (rows, classes)
    labels = ops.reshape(labels, (-1,))  # (rows,)
    classes_of_labels = ops.cast(labels, "int32")  # (rows,)
    known = ops.logical_and(classes_of_labels >= 0, classes_of_labels < classes)  # (rows,)
    if keras.backend.is_float_dtype(labels.dtype):  # no class between classes
        known = ops.logical_and(known, ops.equal(ops.cast(classes_of_labels, labels.dtype), labels))
    targets = ops.where(known, classes_of_labels, 0)  # (rows,)
    each = ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)  # (rows,)
    each, counted = ops.where(known, each, float("nan")), ops.not_equal(classes_of_labels, IGNORE_INDEX)
    return Losses(ops.reshape(each, axes), ops.reshape(counted, axes))  # (...)


def smoothed_cross_entropy(
    logits: Tensor, labels: Tensor, label_smoothing: float, class_weights: Sequence[float] | None = None
) -> Tensor:
    """`cross_entropy` with PyTorch's label smoothing and class weights, as `EngineOptions` describes them.

    The mean divides by the labels' weights.
    """
    check_labels(labels, logits.shape[-1], IGNORE_INDEX)
    logits = ops.cast(ops.reshape(logits, (-1, logits.shape[-1])), "float32")  # (rows, classes)
    labels = ops.cast(ops.reshape(labels, (-1,)), "int32")  # (rows,)
    weights = ops.ones(logits.shape[-1]) if class_weights is None else ops.convert_to_tensor(class_weights, "float32")
    mask = ops.not_equal(labels, IGNORE_INDEX)  # (rows,)
    targets = ops.where(mask, labels, 0)  # (rows,)
    gains = ops.log_softmax(logits, axis=-1) * weights  # (rows, classes)
    target_gains = ops.take_along_axis(gains, targets[:, None], axis=1)[:, 0]  # (rows,)
    each = (1 - label_smoothing) * target_gains + label_smoothing * ops.mean(gains, axis=1)  # (rows,)
    count = ops.sum(ops.where(mask, ops.take(weights, targets), 0.0))
    return -ops.sum(ops.where(mask, each, 0.0)) / ops.where(count > 0, count, 1.0)


def masked_lm_loss(x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of `x @ weight.T + bias` over the labels that count; 0 where there are none.

    Args:
        x: (batch, seq, dim).
        weight: (vocab, dim).
        bias: (vocab,).
        labels: (batch, seq) integers, -100 where nothing counts.
    """
    weight, bias = ops.cast(weight, x.dtype), ops.cast(bias, x.dtype)
    if can_chunk(x):
        return chunked_cross_entropy(x, weight, bias, labels)
    return cross_entropy(ops.einsum("bsd,vd->bsv", x, weight) + bias, labels)


def squared_errors(logits: Tensor, labels: Tensor, mask: Tensor | None = None) -> Losses:
    """Return the squared differences; (batch, 1) logits meet (batch,) labels."""
    logits = ops.reshape(ops.cast(logits, "float32"), ops.shape(labels))
    values = ops.square(logits - ops.cast(labels, "float32"))
    return Losses(values, as_counted(mask, values))


def binary_cross_entropies(logits: Tensor, labels: Tensor, mask: Tensor | None = None) -> Losses:
    """Return the binary cross-entropies of logits (…, num_labels) with 0/1 labels of their shape, any dtype."""
    logits, labels = ops.cast(logits, "float32"), ops.cast(labels, "float32")
    values = ops.binary_crossentropy(labels, logits, from_logits=True)
    return Losses(values, as_counted(mask, values))


def classification_cross_entropies(logits: Tensor, labels: Tensor, mask: Tensor | None = None) -> Losses:
    """Return the cross-entropies of logits (…, num_labels) and labels (…), where `mask`."""
    if mask is None:
        return cross_entropies(logits, labels)
    return cross_entropies(logits, ops.where(mask, ops.cast(labels, "int32"), IGNORE_INDEX))


LOSSES = {
    "regression": squared_errors,
    "single_label_classification": classification_cross_entropies,
    "multi_label_classification": binary_cross_entropies,
}


def sequence_classification_loss(
    logits: Tensor,
    labels: Tensor,
    config: DistilBertConfig,
    mask: Tensor | None = None,
) -> Tensor:
    """The loss of the config's problem type, or of the one that labels and `num_labels` imply.

    Args:
        logits: (batch, num_labels), or (batch, num_segments, num_labels) of packed rows.
        labels: (batch,) or (batch, num_labels); of packed rows (batch, num_segments, …).
        config: What says the problem type and `num_labels`.
        mask: (batch, num_segments), which segments there are; the others count for nothing.
    """
    return mean_loss(sequence_classification_losses(logits, labels, config, mask))


def sequence_classification_losses(
    logits: Tensor, labels: Tensor, config: DistilBertConfig, mask: Tensor | None = None
) -> Losses:
    """Return each loss that `sequence_classification_loss` is the mean of.

    One label means regression, labels (batch,) a single label, labels (batch, num_labels) several: transformers' rule,
    except that the config is not changed, and that dtypes do not matter.
    """
    if config.num_labels > 1 and len(labels.shape) == len(logits.shape) and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, axis=-1)  # (batch,): a column of class ids, as tables and Keras have them
    problem = problem_type(len(logits.shape), labels, config)
    return LOSSES[problem](logits, labels, mask)


def problem_type(logits_ndim: int, labels: Tensor, config: DistilBertConfig) -> str:
    """Return the key of `LOSSES` that the config names, or that labels and `num_labels` imply."""
    return implied_problem_type(config, is_single=len(labels.shape) < logits_ndim or labels.shape[-1] == 1)


def question_answering_loss(
    start_logits: Tensor,
    end_logits: Tensor,
    start_positions: Tensor,
    end_positions: Tensor,
    segment_ids: Tensor | None = None,
) -> Tensor:
    """Mean of the mean cross-entropies of start and end; see `position_losses`."""
    start, end = (start_logits, start_positions), (end_logits, end_positions)
    return (mean_loss(position_losses(*start, segment_ids)) + mean_loss(position_losses(*end, segment_ids))) / 2


def position_losses(logits: Tensor, positions: Tensor, segment_ids: Tensor | None = None) -> Losses:
    """Return the cross-entropy of each position; one past the end of the sequence or below 0 is ignored.

    Args:
        logits: (batch, seq).
        positions: (batch,) or (batch, 1); of packed rows (batch, num_segments), counted from the segment's first token.
        segment_ids: (batch, seq) of packed rows: each segment is a sequence by itself.

    Returns:
        (batch,), or (batch, num_segments).
    """
    if segment_ids is not None:
        return packed_position_losses(logits, positions, segment_ids)
    positions = ops.cast(ops.reshape(positions, (-1,)), "int32")  # (batch,)
    inside = ops.logical_and(positions >= 0, positions < ops.shape(logits)[1])
    return cross_entropies(logits, ops.where(inside, positions, IGNORE_INDEX))


def packed_position_losses(logits: Tensor, positions: Tensor, segment_ids: Tensor) -> Losses:
    """Return the cross-entropy of each position in its own segment; see `position_losses`."""
    segments = segment_onehot(segment_ids, ops.shape(positions)[1])  # (batch, num_segments, seq)
    numbers = ops.cast(segments, "int32")
    sizes, firsts = ops.sum(numbers, axis=-1), ops.cast(ops.argmax(numbers, axis=-1), "int32")
    positions = ops.cast(positions, "int32")  # (batch, num_segments)
    alone = ops.where(segments, ops.cast(logits, "float32")[:, None], MASKED_SCORE)  # (batch, num_segments, seq)
    inside = ops.logical_and(positions >= 0, positions < sizes)
    return cross_entropies(alone, ops.where(inside, firsts + positions, IGNORE_INDEX))


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
    is_token = ops.cast(attention_mask, "bool")  # (batch, seq)
    counted = is_token  # (batch, seq)
    if restrict_ce_to_mask:
        counted = ops.logical_and(is_token, ops.not_equal(labels, IGNORE_INDEX))
    teacher_logits, teacher_hidden = ops.stop_gradient(teacher_logits), ops.stop_gradient(teacher_hidden)
    ce = masked_mean(kl_divergence(student_logits, teacher_logits, temperature), counted) * temperature**2
    mlm = cross_entropy(student_logits, labels)
    cos = masked_mean(1 - cosine(student_hidden, teacher_hidden), is_token)
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


def as_counted(mask: Tensor | None, values: Tensor) -> Tensor:
    """Return which values (batch, num_segments, …) count: those of segments that there are, or all when None."""
    if mask is None:
        return ops.ones_like(values, dtype="bool")
    return ops.broadcast_to(with_axes(mask, len(values.shape)), ops.shape(values))


def mean_loss(losses: Losses, sample_weight: Tensor | None = None) -> Tensor:
    """Return the mean of the losses that count, each times its weight.

    The sum of weighted losses is divided by how many count, not by the weights: Keras' rule, and that of
    transformers' TensorFlow models.

    Args:
        losses: (batch, …).
        sample_weight: (batch,), or one for each loss; an axis of length 1 at the end may be there or not.
    """
    values, counted = losses
    if sample_weight is None:
        return masked_mean(values, counted)
    weights = ops.cast(sample_weight, values.dtype)
    if len(weights.shape) == len(values.shape) + 1:
        weights = ops.squeeze(weights, axis=-1)
    return masked_mean(values * with_axes(weights, len(values.shape)), counted)


def mean_per_example(losses: Losses) -> Tensor:
    """Return the loss of each example: (batch, …) -> (batch,), 0 where nothing counts."""
    values, counted = losses
    axes = tuple(range(1, len(values.shape)))
    count = ops.maximum(ops.sum(ops.cast(counted, "float32"), axis=axes), 1.0)  # (batch,)
    return ops.sum(ops.where(counted, values, 0.0), axis=axes) / count


def with_axes(x: Tensor, number: int) -> Tensor:
    """Return a tensor with axes of length 1 at its end, so that it has a number of them."""
    for _ in range(number - len(x.shape)):
        x = ops.expand_dims(x, -1)  # (batch, …, 1)
    return x


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values whose mask is True, over all replicas; 0 where there is none."""
    return replicas.mean(ops.sum(ops.where(mask, values, 0.0)), ops.sum(ops.cast(mask, "float32")))
