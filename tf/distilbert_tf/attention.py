"""The masking rule and the attention implementations.

Every function takes and returns (batch, heads, seq, head_dim). Scores are scaled by 1/sqrt(head_dim), the softmax
runs in float32, and a masked score is float32's lowest finite value: a row with nothing to attend to attends
uniformly, as in transformers 4 (PR 15326), and is never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from distilbert_common.errors import InputError
from distilbert_tf.arrays import Tensor

__all__ = ["MASKED_SCORE", "eager_attention", "expand_mask", "sdpa_attention"]

MASKED_SCORE = float(np.finfo(np.float32).min)
"""The value of a masked score: the lowest finite float32."""


def expand_mask(attention_mask: Tensor) -> Tensor:
    """Bring any mask into one form.

    Args:
        attention_mask: (batch, seq), where every non-zero value attends; or (batch, 1 or heads, seq, seq), where
            non-zero integers and True attend, and floats are added to the scores, as in transformers 5.

    Returns:
        bool, True attends, or float32 to be added; broadcastable to (batch, heads, seq, seq).

    Raises:
        InputError: The mask has neither 2 nor 4 axes.
    """
    axes = len(attention_mask.shape)
    if axes == 2:
        return ops.expand_dims(ops.cast(attention_mask, "bool"), (1, 2))  # (batch, 1, 1, seq)
    if axes == 4:
        additive = keras.backend.is_float_dtype(attention_mask.dtype)
        if additive:
            return ops.maximum(ops.cast(attention_mask, "float32"), MASKED_SCORE)
        return ops.cast(attention_mask, "bool")
    raise InputError(
        f"attention_mask has shape {tuple(attention_mask.shape)}; "
        "expected (batch, seq) or (batch, 1 or heads, seq, seq)"
    )


def is_bool(mask: Tensor) -> bool:
    """Whether a mask of `expand_mask` says who attends, not what is added."""
    return bool(keras.backend.standardize_dtype(mask.dtype) == "bool")


def eager_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: Callable[[Tensor], Tensor] | None = None,
    head_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Attention step by step, with its probabilities.

    Args:
        query: (batch, heads, seq, head_dim).
        key: (batch, heads, seq, head_dim).
        value: (batch, heads, seq, head_dim).
        mask: What `expand_mask` returns, or None where all attends.
        dropout: What zeroes some of the probabilities.
        head_mask: Factor for each head's probabilities, broadcastable to (batch, heads, seq, seq).

    Returns:
        The context (batch, heads, seq, head_dim) and the probabilities (batch, heads, seq, seq) after dropout
        and head mask, as transformers returns them.
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


def sdpa_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Attention without the probabilities: the steps of `eager_attention`, which XLA fuses.

    `keras.ops.dot_product_attention` would not do: on TensorFlow it has no kernel and is slower than these steps, on
    JAX it refuses float16 in compiled code on the CPU, on PyTorch it masks float16 scores with a number that
    cannot drown them, and nowhere has it dropout.
    """
    return eager_attention(query, key, value, mask, dropout)[0]
