"""The input rules, read off tensors; nothing is checked where values are not concrete (in traced code)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from distilbert_common import DistilBertConfig
from distilbert_common.checks import check_ids, check_length, warn_token_types
from distilbert_common.errors import InputError
from distilbert_tf.arrays import Tensor


def check_inputs(
    config: DistilBertConfig,
    input_ids: Tensor | None,
    inputs_embeds: Tensor | None,
    position_ids: Tensor | None,
    token_type_ids: Tensor | None,
) -> None:
    """Check length and ids of one call before any compute.

    Args:
        config: The model's config.
        input_ids: (batch, seq) or (batch, choices, seq) integers, or None.
        inputs_embeds: (batch, seq, dim) or (batch, choices, seq, dim), or None.
        position_ids: Integers of the shape of `input_ids`, or (1, seq), or None.
        token_type_ids: Anything; a non-zero value gives a warning.

    Raises:
        InputError: Too long an input, or an id outside its table.
    """
    seq = input_ids.shape[-1] if inputs_embeds is None else inputs_embeds.shape[-2]
    if position_ids is None and seq is not None:
        check_length(seq, config.max_position_embeddings)
    _check_range("input_ids", input_ids, config.vocab_size, "vocab_size")
    _check_range("position_ids", position_ids, config.max_position_embeddings, "max_position_embeddings")
    token_types = concrete(token_type_ids)
    if token_types is not None and token_types.any():
        warn_token_types()


def check_labels(labels: Tensor, classes: int | None, ignored: int) -> None:
    """Require that labels are class ids or the ignored value.

    Raises:
        InputError: One is neither.
    """
    values = concrete(labels)
    if values is None or classes is None:
        return
    outside = (values < 0) | (values >= classes) | (values != np.floor(values))
    wrong = values[(values != ignored) & outside]
    if wrong.size:
        raise InputError(f"labels hold {wrong[0]}; expected 0..{classes - 1}, or {ignored} for what does not count")


def is_concrete(x: Tensor) -> bool:
    """Whether the values can be looked at here and now."""
    return isinstance(x, np.ndarray) or (
        not isinstance(x, keras.KerasTensor) and _HAS_VALUES[keras.backend.backend()](x)
    )


def concrete(x: Tensor | None) -> np.ndarray | None:
    """Return the values where they can be looked at here and now, or None."""
    return keras.ops.convert_to_numpy(x) if x is not None and is_concrete(x) else None


def _tensorflow_has_values(x: Any) -> bool:
    return hasattr(x, "numpy")  # which tensors of a graph do not have


def _jax_has_values(x: Any) -> bool:
    import jax

    return not isinstance(x, jax.core.Tracer)


def _torch_has_values(x: Any) -> bool:
    import torch

    return not torch.compiler.is_compiling() and x.device.type != "meta"


_HAS_VALUES = {"tensorflow": _tensorflow_has_values, "jax": _jax_has_values, "torch": _torch_has_values}


def _check_range(name: str, ids: Tensor | None, limit: int, limit_name: str) -> None:
    values = concrete(ids)
    if values is not None and values.size:
        check_ids(name, int(values.min()), int(values.max()), limit, limit_name)
