"""The masking rule and the attention implementations, on (batch, heads, seq, head_dim).

Scores are scaled by 1/sqrt(head_dim), the softmax runs in float32, and a masked score is `MASKED_SCORE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
from keras import ops

from distilbert_common.checks import check_mask
from distilbert_common.constants import MASKED_SCORE
from distilbert_tf.arrays import Tensor

__all__ = ["Dropout", "eager_attention", "expand_mask", "sdpa_attention"]

Dropout = Callable[[Tensor], Tensor] | None
"""What zeroes some of the probabilities."""


def expand_mask(attention_mask: Tensor) -> Tensor:
    """Bring a mask, of a form that `check_mask` takes, into one: bool, True attends, or float32 to be added.

    `padded_layout` calls it. The result can be broadcast to (batch, heads, seq, seq).
    """
    check_mask(attention_mask.shape)
    if len(attention_mask.shape) == 2:
        return ops.expand_dims(ops.cast(attention_mask, "bool"), (1, 2))  # (batch, 1, 1, seq)
    if keras.backend.is_float_dtype(attention_mask.dtype):
        return ops.maximum(ops.cast(attention_mask, "float32"), MASKED_SCORE)
    return ops.cast(attention_mask, "bool")


def is_bool(mask: Tensor) -> bool:
    """Whether a mask of `expand_mask` says who attends, not what is added."""
    return bool(keras.backend.standardize_dtype(mask.dtype) == "bool")


def eager_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: Dropout = None,
    head_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Attention step by step: the context, and the probabilities (batch, heads, seq, seq) as transformers returns them.

    The mask is what `expand_mask` returns, None where all attend; dropout zeroes some of the probabilities;
    the head mask multiplies them in the end, broadcast to their shape.
    """
    query = query / math.sqrt(query.shape[-1])
    scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))  # (batch, heads, seq, seq)
    scores = ops.cast(scores, "float32")
    if mask is not None:
        scores = ops.where(mask, scores, MASKED_SCORE) if is_bool(mask) else scores + mask
    probabilities = ops.softmax(scores, axis=-1)  # (batch, heads, seq, seq)
    if dropout is not None:
        probabilities = dropout(probabilities)
    probabilities = ops.cast(probabilities, value.dtype)
    if head_mask is not None:
        probabilities = probabilities * head_mask
    return ops.matmul(probabilities, value), probabilities


def sdpa_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: Dropout = None) -> Tensor:
    """Attention without the probabilities: the steps of `eager_attention`, which XLA fuses.

    `keras.ops.dot_product_attention` would not do: on TensorFlow it has no kernel and is slower than these steps, on
    JAX it refuses float16 in compiled code on the CPU, on PyTorch it masks float16 scores with a number that
    cannot drown them, and nowhere has it dropout.
    """
    return eager_attention(query, key, value, mask, dropout)[0]
