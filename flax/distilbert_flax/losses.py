"""The task losses and the distillation triple loss: stateless functions that return scalar float32 means.

Labels that are all ignored give 0, not NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from distilbert_common import DistilBertConfig, DistillationLoss
from distilbert_common.constants import IGNORE_INDEX, is_fast
from distilbert_common.problem_types import implied_problem_type
from distilbert_flax.checks import check_classes
from distilbert_flax.fast.chunked_cross_entropy import chunked_cross_entropy
from distilbert_flax.segments import segment_onehot

__all__ = [
    "binary_cross_entropy",
    "cross_entropy",
    "distillation_loss",
    "masked_lm_loss",
    "mean_squared_error",
    "question_answering_loss",
    "sequence_classification_loss",
    "smoothed_cross_entropy",
]


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Mean cross-entropy over the labels that are not `IGNORE_INDEX`: (…, classes), (…) integers -> a scalar.

    Traced code cannot refuse a label that is no class: the loss is NaN there.

    Raises:
        InputError: A label is neither a class nor ignored.
    """
    classes = logits.shape[-1]
    check_classes(labels, classes)
    logits, labels = logits.reshape(-1, classes).astype(jnp.float32), jnp.ravel(labels)  # (rows, classes), (rows,)
    mask = labels != IGNORE_INDEX  # (rows,)
    rows = jnp.arange(labels.size)
    at_labels = jax.nn.log_softmax(logits).at[rows, jnp.where(mask, labels, 0)]
    gains = at_labels.get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)  # (rows,)
    return -jnp.where(mask, gains, 0).sum() / jnp.maximum(mask.sum(), 1)


def smoothed_cross_entropy(
    logits: Array, labels: Array, label_smoothing: float, class_weights: Sequence[float] | None = None
) -> Array:
    """`cross_entropy` with PyTorch's label smoothing and class weights, as `EngineOptions` describes them.

    The mean divides by the labels' weights.
    """
    classes = logits.shape[-1]
    check_classes(labels, classes)
    logits, labels = logits.reshape(-1, classes).astype(jnp.float32), jnp.ravel(labels)  # (rows, classes), (rows,)
    weights = jnp.ones(classes) if class_weights is None else jnp.asarray(class_weights, jnp.float32)  # (classes,)
    mask = labels != IGNORE_INDEX  # (rows,)
    targets = jnp.where(mask, labels, 0)  # (rows,)
    gains = jax.nn.log_softmax(logits) * weights  # (rows, classes)
    target_gains = jnp.take_along_axis(gains, targets[:, None], axis=1)[:, 0]  # (rows,)
    each = (1 - label_smoothing) * target_gains + label_smoothing * gains.mean(axis=1)  # (rows,)
    count = jnp.where(mask, weights[targets], 0).sum()
    return -jnp.where(mask, each, 0).sum() / jnp.where(count > 0, count, 1)


def masked_lm_loss(x: Array, weight: Array, bias: Array, labels: Array) -> Array:
    """Mean cross-entropy of `x @ weight.T + bias` with labels; 0 where there are none.

    Args:
        x: (…, dim).
        weight: (vocab, dim).
        bias: (vocab,).
        labels: (…) integers, -100 where nothing counts.
    """
    check_classes(labels, len(weight))
    if is_fast():
        return chunked_cross_entropy(x, weight, bias, labels)
    return cross_entropy(x @ weight.T + bias, labels)


def mean_squared_error(logits: Array, labels: Array, mask: Array | None = None) -> Array:
    """Mean of squared differences, where the mask is True; (batch, 1) logits meet (batch,) labels."""
    labels = jnp.asarray(labels, jnp.float32)
    return mean_where(jnp.square(logits.astype(jnp.float32).reshape(labels.shape) - labels), mask)


def binary_cross_entropy(logits: Array, labels: Array, mask: Array | None = None) -> Array:
    """Mean binary cross-entropy of logits (…, num_labels) with 0/1 labels of any dtype, where the mask is True."""
    logits, labels = logits.astype(jnp.float32), jnp.asarray(labels, jnp.float32)
    losses = -(labels * jax.nn.log_sigmoid(logits) + (1 - labels) * jax.nn.log_sigmoid(-logits))
    return mean_where(losses, mask)


def classification_cross_entropy(logits: Array, labels: Array, mask: Array | None = None) -> Array:
    """`cross_entropy` of logits (…, num_labels) and labels (…), where the mask is True."""
    return cross_entropy(logits, labels if mask is None else jnp.where(mask, labels, IGNORE_INDEX))


LOSSES = {
    "regression": mean_squared_error,
    "single_label_classification": classification_cross_entropy,
    "multi_label_classification": binary_cross_entropy,
}


def sequence_classification_loss(
    logits: Array, labels: Array, config: DistilBertConfig, mask: Array | None = None
) -> Array:
    """The loss of the config's problem type, or of the one that labels and `num_labels` imply.

    One label means regression, integer labels (batch,) a single label, anything else several labels: transformers'
    rule, except that the config is not changed, and that integer labels (batch, num_labels) count as several labels.

    Args:
        logits: (batch, num_labels), or (batch, num_segments, num_labels) of packed rows.
        labels: (batch,) or (batch, num_labels); of packed rows (batch, num_segments, …).
        config: What says the problem type and `num_labels`.
        mask: (batch, num_segments), which segments there are; the others count for nothing.
    """
    return LOSSES[problem_type(logits.ndim, labels, config)](logits, labels, mask)


def problem_type(logits_ndim: int, labels: Array, config: DistilBertConfig) -> str:
    """Return the key of `LOSSES` that the config names, or that labels and `num_labels` imply."""
    is_single = not jnp.issubdtype(labels.dtype, jnp.floating) and labels.ndim < logits_ndim
    return implied_problem_type(config, is_single=is_single)


def question_answering_loss(
    start_logits: Array,
    end_logits: Array,
    start_positions: Array,
    end_positions: Array,
    segment_ids: Array | None = None,
) -> Array:
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
    seq = start_logits.shape[1]

    def one(logits: Array, positions: Array) -> Array:
        positions = jnp.ravel(positions)  # (batch,)
        return cross_entropy(logits, jnp.where((positions >= 0) & (positions < seq), positions, IGNORE_INDEX))

    return (one(start_logits, start_positions) + one(end_logits, end_positions)) / 2


def packed_question_answering_loss(
    start_logits: Array, end_logits: Array, start_positions: Array, end_positions: Array, segment_ids: Array
) -> Array:
    """`question_answering_loss` of packed rows."""
    onehot = segment_onehot(segment_ids, start_positions.shape[1])  # (batch, num_segments, seq)
    sizes, firsts = onehot.sum(-1), onehot.argmax(-1)  # (batch, num_segments)

    def one(logits: Array, positions: Array) -> Array:
        alone = jnp.where(onehot, logits.astype(jnp.float32)[:, None], jnp.finfo(jnp.float32).min)
        inside = (positions >= 0) & (positions < sizes)  # (batch, num_segments)
        return cross_entropy(alone, jnp.where(inside, firsts + positions, IGNORE_INDEX))

    return (one(start_logits, start_positions) + one(end_logits, end_positions)) / 2


def distillation_loss(
    student_logits: Array,
    teacher_logits: Array,
    labels: Array,
    student_hidden: Array,
    teacher_hidden: Array,
    attention_mask: Array,
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
    ce = masked_mean(kl_divergence(student_logits, stop_gradient(teacher_logits), temperature), soft) * temperature**2
    mlm = cross_entropy(student_logits, labels)
    cos = masked_mean(1 - cosine(student_hidden, stop_gradient(teacher_hidden)), mask)
    return DistillationLoss(alpha_ce * ce + alpha_mlm * mlm + alpha_cos * cos, ce, mlm, cos)


def kl_divergence(student_logits: Array, teacher_logits: Array, temperature: float) -> Array:
    """KL(teacher, student) of the softened distributions: (batch, seq, vocab) twice -> (batch, seq)."""
    student = jax.nn.log_softmax(student_logits.astype(jnp.float32) / temperature)
    teacher = jax.nn.log_softmax(teacher_logits.astype(jnp.float32) / temperature)
    return (jnp.exp(teacher) * (teacher - student)).sum(-1)  # (batch, seq)


def cosine(a: Array, b: Array) -> Array:
    """Cosine similarity with PyTorch's 1e-12 beside each squared norm: (..., dim) twice -> (...)."""
    a, b = a.astype(jnp.float32), b.astype(jnp.float32)
    return (a * b).sum(-1) / jnp.sqrt((jnp.square(a).sum(-1) + 1e-12) * (jnp.square(b).sum(-1) + 1e-12))


def mean_where(values: Array, mask: Array | None) -> Array:
    """Mean of the values (batch, num_segments, …) where the mask (batch, num_segments) is True; of all when None."""
    if mask is None:
        return values.mean()
    mask = mask.reshape(*mask.shape, *(1,) * (values.ndim - mask.ndim))  # (batch, num_segments, 1, …)
    return masked_mean(values, jnp.broadcast_to(mask, values.shape))


def masked_mean(values: Array, mask: Array) -> Array:
    """Mean of the values whose mask is True; 0 where there is none."""
    return jnp.where(mask, values, 0).sum() / jnp.maximum(mask.sum(), 1)
