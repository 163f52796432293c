"""The task losses and the distillation triple loss: stateless functions that return scalar float32 means.

Labels that are all ignored give 0, not NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from distilbert_common import DistilBertConfig
from distilbert_common.constants import IGNORE_INDEX
from distilbert_flax.checks import check_classes
from distilbert_flax.segments import belongs


def cross_entropy(logits: Array, labels: Array, ignored: int = IGNORE_INDEX) -> Array:
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
    classes = logits.shape[-1]
    check_classes(labels, classes, ignored=ignored)
    logits, labels = logits.reshape(-1, classes).astype(jnp.float32), jnp.ravel(labels)  # (rows, classes), (rows,)
    counted = labels != ignored  # (rows,)
    rows = jnp.arange(labels.size)
    picked = jax.nn.log_softmax(logits).at[rows, jnp.where(counted, labels, 0)]
    gains = picked.get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)  # (rows,)
    return -jnp.where(counted, gains, 0).sum() / jnp.maximum(counted.sum(), 1)


def mean_squared_error(logits: Array, labels: Array, real: Array | None = None) -> Array:
    """Mean of squared differences, where `real`; (batch, 1) logits meet (batch,) labels."""
    labels = jnp.asarray(labels, jnp.float32)
    return mean_of_real(jnp.square(logits.astype(jnp.float32).reshape(labels.shape) - labels), real)


def binary_cross_entropy(logits: Array, labels: Array, real: Array | None = None) -> Array:
    """Mean binary cross-entropy, where `real`, of logits (…, num_labels) with 0/1 labels of their shape, any dtype."""
    logits, labels = logits.astype(jnp.float32), jnp.asarray(labels, jnp.float32)
    losses = -(labels * jax.nn.log_sigmoid(logits) + (1 - labels) * jax.nn.log_sigmoid(-logits))
    return mean_of_real(losses, real)


def classification_cross_entropy(logits: Array, labels: Array, real: Array | None = None) -> Array:
    """`cross_entropy` of logits (…, num_labels) and labels (…), where `real`."""
    return cross_entropy(logits, labels if real is None else jnp.where(real, labels, IGNORE_INDEX))


LOSSES = {
    "regression": mean_squared_error,
    "single_label_classification": classification_cross_entropy,
    "multi_label_classification": binary_cross_entropy,
}


def sequence_classification_loss(
    logits: Array, labels: Array, config: DistilBertConfig, real: Array | None = None
) -> Array:
    """The loss of the config's problem type, or of the one that labels and `num_labels` imply.

    One label means regression, integer labels (batch,) a single label, anything else several labels: transformers'
    rule, except that the config is not changed, and that integer labels (batch, num_labels) count as several labels.

    Args:
        logits: (batch, num_labels), or (batch, num_segments, num_labels) of packed rows.
        labels: (batch,) or (batch, num_labels); of packed rows (batch, num_segments, …).
        config: What says the problem type and `num_labels`.
        real: (batch, num_segments), which segments there are; the others count for nothing.
    """
    return LOSSES[problem_type(logits, labels, config)](logits, labels, real)


def problem_type(logits: Array | jax.ShapeDtypeStruct, labels: Array, config: DistilBertConfig) -> str:
    """Return the key of `LOSSES` that the config names, or labels and `num_labels` imply."""
    if config.problem_type is not None:
        return config.problem_type
    if config.num_labels == 1:
        return "regression"
    single = not jnp.issubdtype(labels.dtype, jnp.floating) and labels.ndim < len(logits.shape)
    return "single_label_classification" if single else "multi_label_classification"


def question_answering_loss(
    start_logits: Array, end_logits: Array, start_positions: Array, end_positions: Array
) -> Array:
    """Mean of the cross-entropies of start and end, (batch, seq) logits and (batch,) or (batch, 1) positions.

    A position past the end of the sequence or below 0 is ignored.
    """
    seq = start_logits.shape[1]

    def one(logits: Array, positions: Array) -> Array:
        positions = jnp.ravel(positions)  # (batch,)
        return cross_entropy(logits, jnp.where((positions >= 0) & (positions < seq), positions, IGNORE_INDEX))

    return (one(start_logits, start_positions) + one(end_logits, end_positions)) / 2


def packed_question_answering_loss(
    start_logits: Array, end_logits: Array, start_positions: Array, end_positions: Array, segment_ids: Array
) -> Array:
    """`question_answering_loss` of packed rows: each segment by itself.

    Args:
        start_logits: (batch, seq).
        end_logits: (batch, seq).
        start_positions: (batch, num_segments), counted from the segment's first token.
        end_positions: (batch, num_segments).
        segment_ids: (batch, seq).
    """
    own = belongs(segment_ids, start_positions.shape[1])  # (batch, num_segments, seq)
    sizes, firsts = own.sum(-1), own.argmax(-1)  # (batch, num_segments)

    def one(logits: Array, positions: Array) -> Array:
        alone = jnp.where(own, logits.astype(jnp.float32)[:, None], jnp.finfo(jnp.float32).min)
        inside = (positions >= 0) & (positions < sizes)  # (batch, num_segments)
        return cross_entropy(alone, jnp.where(inside, firsts + positions, IGNORE_INDEX))

    return (one(start_logits, start_positions) + one(end_logits, end_positions)) / 2


class DistillationLoss(NamedTuple):
    """The triple loss and its unweighted parts, all scalar."""

    total: Array
    ce: Array
    mlm: Array
    cos: Array


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
    real = attention_mask != 0  # (batch, seq)
    soft = real & (labels != IGNORE_INDEX) if restrict_ce_to_mask else real  # (batch, seq)
    ce = masked_mean(kl_divergence(student_logits, stop_gradient(teacher_logits), temperature), soft) * temperature**2
    mlm = cross_entropy(student_logits, labels)
    cos = masked_mean(1 - cosine(student_hidden, stop_gradient(teacher_hidden)), real)
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


def mean_of_real(values: Array, real: Array | None) -> Array:
    """Mean of the values (batch, num_segments, …) of those segments that there are; of all values when None."""
    if real is None:
        return values.mean()
    many = real.reshape(*real.shape, *(1,) * (values.ndim - real.ndim))  # (batch, num_segments, 1, ...)
    return masked_mean(values, jnp.broadcast_to(many, values.shape))


def masked_mean(values: Array, mask: Array) -> Array:
    """Mean of the values whose mask is True; 0 where there is none."""
    return jnp.where(mask, values, 0).sum() / jnp.maximum(mask.sum(), 1)
