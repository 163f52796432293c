"""The input rules, read off arrays; nothing is checked where values are not concrete (in traced code)."""

from __future__ import annotations

import jax
import numpy as np
from jax import Array

from distilbert_common import DistilBertConfig
from distilbert_common.checks import check_ids, check_labels, check_length, warn_token_types
from distilbert_common.constants import IGNORE_INDEX


def check_inputs(
    config: DistilBertConfig,
    input_ids: Array | None,
    inputs_embeds: Array | None,
    position_ids: Array | None,
    token_type_ids: Array | None,
) -> None:
    """Check length and ids of one call before any compute.

    Args:
        config: The model's config.
        input_ids: (batch, seq) integers, or None.
        inputs_embeds: (batch, seq, dim), or None.
        position_ids: (batch, seq) or (1, seq) integers, or None.
        token_type_ids: Anything; a non-zero value gives a warning.

    Raises:
        InputError: Too long an input, or an id outside its table.
    """
    words = input_ids if inputs_embeds is None else inputs_embeds
    if position_ids is None and words is not None:
        check_length(words.shape[1], config.max_position_embeddings)  # shapes are known in traced code too
    check_values(config, input_ids, position_ids, token_type_ids)


def check_values(
    config: DistilBertConfig, input_ids: Array | None, position_ids: Array | None, token_type_ids: Array | None
) -> None:
    """Check the ids of one call, as `check_inputs` does."""
    _check_range("input_ids", input_ids, config.vocab_size, "vocab_size")
    _check_range("position_ids", position_ids, config.max_position_embeddings, "max_position_embeddings")
    if token_type_ids is not None and is_concrete(token_type_ids) and bool(np.any(token_type_ids)):
        warn_token_types()


def check_classes(labels: Array, classes: int, real: Array | None = None, ignored: int = IGNORE_INDEX) -> None:
    """Refuse labels that are neither classes nor ignored, where they are `real`."""
    if is_concrete(labels):
        values = np.asarray(labels)
        check_labels(values if real is None else values[np.asarray(real)], classes, ignored)


def is_concrete(array: Array) -> bool:
    """Whether the values can be looked at here and now."""
    return not isinstance(array, jax.core.Tracer) and getattr(array, "is_fully_addressable", True)


def _check_range(name: str, ids: Array | None, limit: int, limit_name: str) -> None:
    if ids is not None and ids.size and is_concrete(ids):
        values = np.asarray(ids)
        check_ids(name, int(values.min()), int(values.max()), limit, limit_name)
