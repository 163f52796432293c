"""The input rules, read off arrays; nothing is checked where values are not concrete (in traced code)."""

from __future__ import annotations

import jax
import numpy as np
from jax import Array

from distilbert_common import DistilBertConfig, checks
from distilbert_common.constants import IGNORE_INDEX

__all__ = ["check_classes", "check_inputs", "check_values", "is_concrete", "value_range"]


def check_inputs(
    config: DistilBertConfig,
    input_ids: Array | None,
    inputs_embeds: Array | None,
    position_ids: Array | None,
    token_type_ids: Array | None,
) -> None:
    """Check length and ids of one call before any compute; see `distilbert_common.checks.check_inputs`."""
    inputs = input_ids if inputs_embeds is None else inputs_embeds
    seq = None if inputs is None else inputs.shape[1]  # shapes are known in traced code too
    checks.check_inputs(config, seq, input_ids, position_ids, token_type_ids, value_range)


def check_values(
    config: DistilBertConfig, input_ids: Array | None, position_ids: Array | None, token_type_ids: Array | None
) -> None:
    """Check the ids of one call, as `check_inputs` does."""
    checks.check_inputs(config, None, input_ids, position_ids, token_type_ids, value_range)


def value_range(ids: Array | None) -> tuple[int, int] | None:
    """Return the lowest and the highest value; None where there is none to look at."""
    if ids is None or not ids.size or not is_concrete(ids):
        return None
    values = np.asarray(ids)
    return int(values.min()), int(values.max())


def check_classes(labels: Array, classes: int | None) -> bool:
    """Refuse labels that are neither classes nor ignored, where their values are concrete.

    Returns:
        Whether the number of classes is known, so that labels can be checked at all.
    """
    if classes is not None and is_concrete(labels):
        checks.check_labels(np.asarray(labels), classes, IGNORE_INDEX)
    return classes is not None


def is_concrete(array: Array) -> bool:
    """Whether the values can be looked at here and now."""
    return not isinstance(array, jax.core.Tracer) and getattr(array, "is_fully_addressable", True)
