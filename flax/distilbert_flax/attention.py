"""The masking rule and the attention implementations, on (batch, heads, seq, head_dim).

Scores are scaled by 1/sqrt(head_dim), the softmax runs in float32, and a masked score is `MASKED_SCORE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from distilbert_common.checks import check_mask
from distilbert_common.constants import MASKED_SCORE

__all__ = ["Dropout", "eager_attention", "expand_mask", "masked_scores", "sdpa_attention"]

Dropout = Callable[[Array], Array] | None
"""What zeroes some of the probabilities."""


def expand_mask(attention_mask: Array) -> Array:
    """Bring a mask, of a form that `check_mask` takes, into one: bool, True attends, or float32 to be added.

    `padded_layout` calls it. The result can be broadcast to (batch, heads, seq, seq).
    """
    attention_mask = jnp.asarray(attention_mask)
    check_mask(attention_mask.shape)
    if attention_mask.ndim == 2:
        return (attention_mask != 0)[:, None, None, :]  # (batch, 1, 1, seq)
    additive = jnp.issubdtype(attention_mask.dtype, jnp.floating)
    return attention_mask.astype(jnp.float32).clip(min=MASKED_SCORE) if additive else attention_mask != 0


def masked_scores(query: Array, key: Array, mask: Array | None) -> Array:
    """Return the scores (batch, heads, seq, seq) that the softmax takes, in float32 at least."""
    query = query / math.sqrt(query.shape[-1])
    at_least_float32 = jnp.promote_types(query.dtype, jnp.float32)
    scores = jnp.matmul(query, key.mT, preferred_element_type=at_least_float32)  # (batch, heads, seq, seq)
    if mask is None:
        return scores
    return jnp.where(mask, scores, MASKED_SCORE) if mask.dtype == jnp.bool else scores + mask


def eager_attention(
    query: Array, key: Array, value: Array, mask: Array | None, dropout: Dropout = None, head_mask: Array | None = None
) -> tuple[Array, Array]:
    """Attention step by step: the context, and the probabilities (batch, heads, seq, seq) as transformers returns them.

    The mask is what `expand_mask` returns, None where all attend; dropout zeroes some of the probabilities;
    the head mask multiplies them in the end, broadcast to their shape.
    """
    scores = masked_scores(query, key, mask)
    probabilities = jax.nn.softmax(scores, axis=-1)  # (batch, heads, seq, seq)
    if dropout is not None:
        probabilities = dropout(probabilities)
    probabilities = probabilities.astype(value.dtype)
    if head_mask is not None:
        probabilities = probabilities * head_mask
    return jnp.matmul(probabilities, value), probabilities


def sdpa_attention(query: Array, key: Array, value: Array, mask: Array | None, dropout: Dropout = None) -> Array:
    """Return `eager_attention`'s context without the probabilities: products first, the softmax's division after.

    The sum that a row's weights are divided by is taken out of the product, as in FlashAttention (Dao et al.,
    arXiv 2205.14135): head_dim values are divided instead of seq, and the backward pass sums over none of the
    (batch, heads, seq, seq) values, which XLA makes slow work of on a processor.
    """
    scores = masked_scores(query, key, mask)
    highest = jax.lax.stop_gradient(scores.max(axis=-1, keepdims=True))  # which no weight depends on in the end
    weights = jnp.exp(scores - highest)  # (batch, heads, seq, seq)
    total = weights.sum(axis=-1, keepdims=True)  # (batch, heads, seq, 1)
    if dropout is not None:
        weights = dropout(weights)
    context = jnp.matmul(weights.astype(value.dtype), value, preferred_element_type=scores.dtype)
    return (context / total).astype(value.dtype)  # (batch, heads, seq, head_dim)
