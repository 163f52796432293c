"""Rounding inputs up to the sizes that programs are compiled for, and cutting outputs back."""

from __future__ import annotations

from typing import Any

import numpy as np
from jax import Array

from distilbert_common import ModelOutput
from distilbert_common.buckets import bucket
from distilbert_common.outputs import per_token_outputs

__all__ = ["MIN_BUCKET_LENGTH", "cut", "pad_to", "to_bucket"]

MIN_BUCKET_LENGTH = 8
"""Shorter inputs are padded to this length."""

Arrays = dict[str, Any]

_ROUNDED = {"input_ids", "attention_mask", "position_ids", "token_type_ids", "head_mask"}


def to_bucket(arrays: Arrays, longest: int) -> Arrays:
    """Return ids, mask and positions padded to a bucket; the same dict where it fits, or padding would be seen.

    Args:
        arrays: The inputs of one call by name; with others than ids, mask and positions, as labels, nothing is padded.
        longest: The number of the model's positions.
    """
    ids, mask = arrays.get("input_ids"), arrays.get("attention_mask")
    if ids is None or ids.ndim != 2 or not arrays.keys() <= _ROUNDED or not ids.size or ids.shape[1] > longest:
        return arrays
    if mask is not None and (mask.shape != ids.shape or not np.any(mask, axis=1).all()):
        return arrays  # a row with nothing to attend to attends to all tokens, as many as there are
    size = (bucket(ids.shape[0]), bucket(ids.shape[1], MIN_BUCKET_LENGTH, longest))
    if size == ids.shape:
        return arrays
    mask = np.ones(ids.shape, np.int32) if mask is None else mask
    padded = {**arrays, "attention_mask": mask}
    return {name: array if name == "head_mask" else pad_to(array, ids.shape, size) for name, array in padded.items()}


def pad_to(array: Any, shape: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """(batch or 1, seq) -> a larger (batch or 1, seq), with zeros."""
    widths = [(0, new - old if axis == old else 0) for axis, old, new in zip(array.shape, shape, size, strict=True)]
    return np.pad(np.asarray(array), widths)


def cut(output: ModelOutput, head: str | None, shape: tuple[int, int]) -> None:
    """Cut the outputs of a padded call to the size (batch, seq) of its inputs."""
    batch, seq = shape
    per_token = per_token_outputs(head)

    def one(name: str, x: Array) -> Array:
        if name == "attentions":
            return x[:batch, :, :seq, :seq]  # (batch, heads, seq, seq)
        return x[:batch, :seq] if name in per_token else x[:batch]

    for name, value in list(output.items()):
        output[name] = tuple(one(name, x) for x in value) if isinstance(value, tuple) else one(name, value)
