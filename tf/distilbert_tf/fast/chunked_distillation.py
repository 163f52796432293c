"""The loss against a teacher's predictions and the masked-LM loss without logits, some hundred tokens at a time.

Student's and teacher's logits of a chunk are compared at once, and the gradients of both losses are summed before they
are multiplied: (tokens, vocab) never exists, for neither model. Sizes are static, so that XLA compiles it: labeled
tokens come first, padding last, and the loop ends before the padding.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from distilbert_common import soft_targets
from distilbert_common.constants import LOSS_CHUNK_TOKENS
from distilbert_tf.arrays import Tensor
from distilbert_tf.fast.chunked_cross_entropy import with_gradients

__all__ = ["ProjectedTargets", "Targets", "TopTargets", "chunked_distillation"]


class ProjectedTargets(soft_targets.ProjectedTargets):
    """A teacher's predictions, by what it projects to the vocabulary."""

    def compare(self, log_q: Tensor, temperature: float, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compare a chunk; see `distilbert_common.soft_targets.ProjectedTargets`."""
        logits = ops.matmul(x, ops.transpose(self.weight)) + self.bias  # (chunk, vocab)
        log_p = ops.log_softmax(ops.cast(logits, "float32") / temperature, axis=-1)
        p = ops.exp(log_p)
        return ops.sum(p * (log_p - log_q), axis=-1), ops.exp(log_q) - p


class TopTargets(soft_targets.TopTargets):
    """A teacher's predictions, by the logits of its most likely tokens."""

    def compare(self, log_q: Tensor, temperature: float, indices: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Compare a chunk, as `ProjectedTargets.compare`."""
        import tensorflow as tf

        log_p = ops.log_softmax(ops.cast(logits, "float32") / temperature, axis=-1)  # (chunk, k)
        p = ops.exp(log_p)
        divergences = ops.sum(p * (log_p - ops.take_along_axis(log_q, indices, axis=1)), axis=-1)  # (chunk,)
        rows = tf.broadcast_to(tf.range(tf.shape(indices)[0])[:, None], tf.shape(indices))  # (chunk, k)
        at = tf.stack([rows, tf.cast(indices, rows.dtype)], axis=-1)  # (chunk, k, 2)
        return divergences, tf.tensor_scatter_nd_sub(tf.exp(log_q), at, p)


Targets = ProjectedTargets | TopTargets


def chunked_distillation(
    x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, counts: tuple[Tensor, Tensor], targets: Targets,
    temperature: float, label_weight: Tensor,
) -> soft_targets.ChunkedLosses:  # fmt: skip
    """Return the sums of both losses of `x @ weight.T + bias`.

    Args:
        x: (tokens, dim).
        weight: (vocab, dim).
        bias: (vocab,).
        labels: (tokens,) integers, of which the first ones count.
        counts: How many of the first tokens are compared with the teacher, and how many of these have labels.
        targets: The teacher's predictions for the same tokens.
        temperature: What both models' logits are divided by.
        label_weight: What a cross-entropy counts beside a divergence, a scalar.
    """
    import tensorflow as tf

    padded = [  # (tokens + chunk, …): the last chunk may reach beyond
        tf.pad(array, [(0, LOSS_CHUNK_TOKENS), *[(0, 0)] * (len(array.shape) - 1)])
        for array in (x, labels, *targets.per_token)
    ]
    tensors, constants = (padded[0], weight, bias), tuple(map(tf.stop_gradient, padded[1:]))
    given = (constants, counts, targets, label_weight)

    def whole(x: Tensor, weight: Tensor, bias: Tensor, *others: Tensor) -> Tensor:
        constants, counts, targets, label_weight = tf.nest.pack_sequence_as(given, others)
        divergence, loss, _ = _chunk(0, x, weight, bias, constants, counts, targets, temperature, label_weight)
        return divergence * temperature**2 + label_weight * loss

    rows, weight_now, bias_now = map(tf.stop_gradient, tensors)
    divergence, loss, *gradients = _loop(
        rows, weight_now, bias_now, constants, counts, targets, temperature, label_weight
    )
    divergence = divergence * temperature**2
    total = with_gradients(divergence + label_weight * loss, gradients, tensors, whole, *tf.nest.flatten(given))
    return soft_targets.ChunkedLosses(total, divergence, loss)


def _loop(
    x: Any, weight: Any, bias: Any, constants: Any, counts: Any, targets: Targets, temperature: float, label_weight: Any
) -> tuple[Any, ...]:
    """Return the two sums, and the gradients of the weighted one for x, weight and bias."""
    import tensorflow as tf

    def step(start: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x_chunk, *others = (_slice(array, start) for array in (x, *constants))
        divergence, loss, d_logits = _chunk(
            start, x_chunk, weight, bias, others, counts, targets, temperature, label_weight
        )
        indices = start + tf.range(LOSS_CHUNK_TOKENS)  # (chunk,)
        low = tf.cast(d_logits, x.dtype)  # (chunk, vocab)
        return (
            start + LOSS_CHUNK_TOKENS,
            sums[0] + divergence,
            sums[1] + loss,
            tf.tensor_scatter_nd_update(sums[2], indices[:, None], tf.matmul(low, weight)),
            sums[3] + tf.cast(tf.matmul(low, x_chunk, transpose_a=True), tf.float32),
            sums[4] + tf.reduce_sum(d_logits, axis=0),
        )

    begin = (
        tf.constant(0), tf.constant(0.0), tf.constant(0.0), tf.zeros_like(x),
        tf.zeros(tf.shape(weight), tf.float32), tf.zeros(tf.shape(bias), tf.float32),
    )  # fmt: skip
    return tuple(tf.while_loop(lambda start, *_: start < counts[0], step, begin)[1:])


def _chunk(
    start: Any, x: Any, weight: Any, bias: Any, constants: Any, counts: Any, targets: Targets, temperature: float,
    label_weight: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Return the two sums of the tokens from `start` on, and the gradient for their logits (chunk, vocab)."""
    import tensorflow as tf

    (tokens, labeled), (labels, *per_token) = counts, constants
    indices = start + tf.range(tf.shape(x)[0])  # (chunk,)
    logits = tf.cast(tf.matmul(x, weight, transpose_b=True) + bias, tf.float32)  # (chunk, vocab)
    divergences, difference = targets.compare(tf.nn.log_softmax(logits / temperature), temperature, *per_token)
    mask = indices < tokens  # (chunk,)
    d_logits = tf.where(mask[:, None], difference * temperature, 0.0)  # (chunk, vocab)
    loss, d_logits = tf.cond(
        start < labeled,
        lambda: _add_cross_entropy(logits, labels, indices < labeled, d_logits, label_weight),
        lambda: (tf.constant(0.0), d_logits),
    )
    return tf.reduce_sum(tf.where(mask, divergences, 0.0)), loss, d_logits


def _slice(array: Any, start: Any) -> Any:
    """(tokens, …) -> (chunk, …)."""
    import tensorflow as tf

    axes = len(array.shape) - 1
    return tf.slice(array, (start, *(0,) * axes), (LOSS_CHUNK_TOKENS, *(-1,) * axes))


def _add_cross_entropy(logits: Any, labels: Any, mask: Any, d_logits: Any, label_weight: Any) -> tuple[Any, Any]:
    """Return the sum of the cross-entropies where the mask is True, and gradients to which theirs are added.

    Args:
        logits: (chunk, vocab).
        labels: (chunk,) integers.
        mask: bool (chunk,).
        d_logits: (chunk, vocab).
        label_weight: What the cross-entropies count.
    """
    import tensorflow as tf

    targets, counts = tf.where(mask, labels, 0), tf.cast(mask, tf.float32)  # (chunk,)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)  # (chunk,)
    d_cross_entropy = tf.nn.softmax(logits) - tf.one_hot(targets, tf.shape(logits)[1])  # (chunk, vocab)
    return tf.reduce_sum(losses * counts), d_logits + d_cross_entropy * (counts * label_weight)[:, None]
