"""The loss against a teacher's predictions and the masked-LM loss without logits, some hundred tokens at a time.

Student's and teacher's logits of a chunk are compared at once, and the gradients of both losses are summed before they
are multiplied: (tokens, vocab) never exists, for neither model. Shapes are static: labeled tokens come first, padding
last, and chunks of padding are passed over.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from distilbert_common import soft_targets
from distilbert_common.constants import IGNORE_INDEX, LOSS_CHUNK_TOKENS

__all__ = ["ProjectedTargets", "Targets", "TopTargets", "chunked_distillation"]

Sums = tuple[Array, Array]
"""Of the divergences, and of the cross-entropies."""


class ProjectedTargets(soft_targets.ProjectedTargets):
    """A teacher's predictions, by what it projects to the vocabulary."""

    def compare(self, log_q: Array, temperature: float, x: Array) -> tuple[Array, Array]:
        """Compare a chunk; see `distilbert_common.soft_targets.ProjectedTargets`."""
        log_p = jax.nn.log_softmax((x @ self.weight.T + self.bias).astype(jnp.float32) / temperature)  # (chunk, vocab)
        p = jnp.exp(log_p)
        return (p * (log_p - log_q)).sum(axis=-1), jnp.exp(log_q) - p


class TopTargets(soft_targets.TopTargets):
    """A teacher's predictions, by the logits of its most likely tokens."""

    def compare(self, log_q: Array, temperature: float, indices: Array, logits: Array) -> tuple[Array, Array]:
        """Compare a chunk, as `ProjectedTargets.compare`."""
        log_p = jax.nn.log_softmax(logits.astype(jnp.float32) / temperature)  # (chunk, k)
        p = jnp.exp(log_p)
        divergences = (p * (log_p - jnp.take_along_axis(log_q, indices, axis=1))).sum(axis=-1)  # (chunk,)
        rows = jnp.arange(len(indices))[:, None]
        return divergences, jnp.exp(log_q).at[rows, indices].add(-p)


Targets = ProjectedTargets | TopTargets


def chunked_distillation(
    x: Array, weight: Array, bias: Array, labels: Array, mask: Array, targets: Targets, temperature: float,
    label_weight: Array,
) -> soft_targets.ChunkedLosses:  # fmt: skip
    """Return the sums of both losses of `x @ weight.T + bias`.

    Args:
        x: (tokens, dim).
        weight: (vocab, dim).
        bias: (vocab,).
        labels: (tokens,) integers, -100 where nothing counts; those that count come first.
        mask: bool (tokens,), which tokens are compared with the teacher; all labeled ones, and none after a False.
        targets: The teacher's predictions for the same tokens.
        temperature: What both models' logits are divided by.
        label_weight: What a cross-entropy counts beside a divergence, a scalar.
    """
    size = min(LOSS_CHUNK_TOKENS, len(x))
    missing = -len(x) % size
    labels = jnp.pad(labels, (0, missing), constant_values=IGNORE_INDEX)
    x, mask, *per_token = (
        jnp.pad(array, ((0, missing), *((0, 0),) * (array.ndim - 1))) for array in (x, mask, *targets.per_token)
    )
    chunks = [array.reshape(-1, size, *array.shape[1:]) for array in (labels, mask, *per_token)]  # (chunks, size, …)
    x = x.reshape(-1, size, x.shape[-1])  # (chunks, size, dim)
    return soft_targets.ChunkedLosses(*_total(temperature, x, weight, bias, label_weight, (tuple(chunks), targets)))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _total(
    temperature: float, x: Array, weight: Array, bias: Array, label_weight: Array, others: Any
) -> tuple[Array, Array, Array]:
    """Return what `chunked_distillation` does, of arrays (chunks, size, …)."""
    return _total_and_gradients(temperature, x, weight, bias, label_weight, others)[0]


def _total_and_gradients(
    temperature: float, x: Array, weight: Array, bias: Array, label_weight: Array, others: Any
) -> tuple[tuple[Array, Array, Array], Any]:
    """Return the sums, and the gradients of the first of them for `x`, `weight` and `bias`."""
    chunks, targets = others

    def step(sums: tuple[Array, ...], chunk: tuple[Array, ...]) -> tuple[tuple[Array, ...], Array]:
        x_chunk, labels, mask, *per_token = chunk

        def counted(sums: tuple[Array, ...]) -> tuple[tuple[Array, ...], Array]:
            logits = (x_chunk @ weight.T + bias).astype(jnp.float32)  # (chunk, vocab)
            log_q = jax.nn.log_softmax(logits / temperature)
            divergences, d_logits = targets.compare(log_q, temperature, *per_token)
            d_logits = jnp.where(mask[:, None], d_logits * temperature, 0)  # (chunk, vocab)
            loss, d_logits = jax.lax.cond(
                (labels != IGNORE_INDEX).any(),
                lambda: _add_cross_entropy(logits, labels, d_logits, label_weight),
                lambda: (jnp.zeros((), jnp.float32), d_logits),
            )
            low = d_logits.astype(x.dtype)
            d_weight = jnp.matmul(low.T, x_chunk, preferred_element_type=jnp.float32)  # (vocab, dim)
            divergence = jnp.where(mask, divergences, 0).sum()
            new = (divergence, loss, d_weight, d_logits.sum(axis=0))
            return tuple(map(jnp.add, sums, new)), low @ weight

        return jax.lax.cond(mask.any(), counted, lambda sums: (sums, jnp.zeros_like(x_chunk)), sums)

    shapes = ((), (), weight.shape, bias.shape)
    start = tuple(jnp.zeros(shape, jnp.float32) for shape in shapes)
    (divergence, loss, d_weight, d_bias), d_x = jax.lax.scan(step, start, (x, *chunks))
    divergence *= temperature**2
    total = divergence + label_weight * loss
    return (total, divergence, loss), (d_x, d_weight.astype(weight.dtype), d_bias.astype(bias.dtype))


def _add_cross_entropy(logits: Array, labels: Array, d_logits: Array, label_weight: Array) -> tuple[Array, Array]:
    """Return the sum of the cross-entropies with labels (chunk,), and gradients to which theirs are added."""
    mask, targets = labels != IGNORE_INDEX, jnp.maximum(labels, 0)  # (chunk,)
    log_probabilities = jax.nn.log_softmax(logits)  # (chunk, vocab)
    gains = jnp.take_along_axis(log_probabilities, targets[:, None], axis=1)[:, 0]  # (chunk,)
    d_cross_entropy = jnp.exp(log_probabilities) - (jnp.arange(logits.shape[1]) == targets[:, None])  # (chunk, vocab)
    return -jnp.where(mask, gains, 0).sum(), d_logits + jnp.where(mask[:, None], d_cross_entropy * label_weight, 0)


def _scaled(temperature: float, gradients: Any, d_sums: tuple[Array, Array, Array]) -> tuple[Any, ...]:
    return (*((gradient * d_sums[0]).astype(gradient.dtype) for gradient in gradients), None, None)


_total.defvjp(_total_and_gradients, _scaled)
