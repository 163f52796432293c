"""The masked-LM loss without logits: labeled positions only, and of those a few hundred at a time.

The gradient of a chunk is known once its loss is, so both are computed in one pass and (tokens x vocab) is never whole.
Shapes are static: labeled positions come first, and chunks without any are passed over.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from distilbert_common.constants import IGNORE_INDEX, LOSS_CHUNK_TOKENS

__all__ = ["chunked_cross_entropy", "labeled_first"]

Parts = tuple[Array, Array, Array]


def chunked_cross_entropy(x: Array, weight: Array, bias: Array, labels: Array) -> Array:
    """Return the mean cross-entropy of `x @ weight.T + bias` over the labels that count; 0 where there are none.

    The arguments are those of `losses.masked_lm_loss`: (…, dim), (vocab, dim), (vocab,), (…) integers.
    """
    x, labels = labeled_first(x, labels)  # (tokens, dim), (tokens,)
    missing = -len(x) % LOSS_CHUNK_TOKENS if len(x) > LOSS_CHUNK_TOKENS else 0
    x, labels = jnp.pad(x, ((0, missing), (0, 0))), jnp.pad(labels, (0, missing), constant_values=IGNORE_INDEX)
    return _total(x, weight, bias, labels) / jnp.maximum((labels != IGNORE_INDEX).sum(), 1)


def labeled_first(x: Array, labels: Array) -> tuple[Array, Array]:
    """Bring labeled positions to the front: (…, dim), (…) -> (tokens, dim), (tokens,)."""
    labels = jnp.ravel(labels)  # (tokens,)
    order = jnp.argsort(labels == IGNORE_INDEX, stable=True)
    return x.reshape(-1, x.shape[-1])[order], labels[order]  # (tokens, dim), (tokens,)


@jax.custom_vjp
def _total(x: Array, weight: Array, bias: Array, labels: Array) -> Array:
    """Return the sum of the cross-entropies."""

    def step(total: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
        def labeled(total: Array) -> Array:
            return total + _chunk(*chunk, weight, bias)[0]

        return jax.lax.cond((chunk[1] != IGNORE_INDEX).any(), labeled, lambda total: total, total), None

    return jax.lax.scan(step, jnp.zeros((), jnp.float32), _chunks(x, labels))[0]


def _total_and_gradients(x: Array, weight: Array, bias: Array, labels: Array) -> tuple[Array, Parts]:
    """Return the sum, and its gradients for `x`, `weight` and `bias`."""

    def step(sums: Parts, chunk: tuple[Array, Array]) -> tuple[Parts, Array]:
        def labeled(sums: Parts) -> tuple[Parts, Array]:
            loss, d_logits = _chunk(*chunk, weight, bias)
            d_logits_low = d_logits.astype(x.dtype)  # (chunk, vocab)
            d_weight = jnp.matmul(d_logits_low.T, chunk[0], preferred_element_type=jnp.float32)  # (vocab, dim)
            return (sums[0] + loss, sums[1] + d_weight, sums[2] + d_logits.sum(0)), d_logits_low @ weight

        def unlabeled(sums: Parts) -> tuple[Parts, Array]:
            return sums, jnp.zeros_like(chunk[0])

        return jax.lax.cond((chunk[1] != IGNORE_INDEX).any(), labeled, unlabeled, sums)

    start = (jnp.zeros((), jnp.float32), jnp.zeros(weight.shape, jnp.float32), jnp.zeros(bias.shape, jnp.float32))
    (total, d_weight, d_bias), d_x = jax.lax.scan(step, start, _chunks(x, labels))
    return total, (d_x.reshape(x.shape), d_weight.astype(weight.dtype), d_bias.astype(bias.dtype))  # (tokens, dim), …


def _scaled(gradients: Parts, d_total: Array) -> tuple[Any, ...]:
    return (*((gradient * d_total).astype(gradient.dtype) for gradient in gradients), None)


_total.defvjp(_total_and_gradients, _scaled)


def _chunks(x: Array, labels: Array) -> tuple[Array, Array]:
    """(tokens, dim), (tokens,) -> (chunks, chunk, dim), (chunks, chunk)."""
    size = min(LOSS_CHUNK_TOKENS, len(x))
    return x.reshape(-1, size, x.shape[-1]), labels.reshape(-1, size)


def _chunk(x: Array, labels: Array, weight: Array, bias: Array) -> tuple[Array, Array]:
    """Return the loss of one chunk, and its gradient for the logits (chunk, vocab)."""
    logits = (x @ weight.T + bias).astype(jnp.float32)  # (chunk, vocab)
    mask, targets = labels != IGNORE_INDEX, jnp.maximum(labels, 0)  # (chunk,)
    norm = jax.nn.logsumexp(logits, axis=-1)  # (chunk,)
    loss = jnp.where(mask, norm - jnp.take_along_axis(logits, targets[:, None], axis=1)[:, 0], 0).sum()
    words = jnp.arange(logits.shape[1])
    d_logits = jnp.exp(logits - norm[:, None]) - (words == targets[:, None])  # (chunk, vocab)
    return loss, jnp.where(mask[:, None], d_logits, 0)
