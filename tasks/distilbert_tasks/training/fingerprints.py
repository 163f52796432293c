"""Fingerprints of data and weights: whether a run that goes on has what it began with."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_conversion import Source
from distilbert_tasks.features import Features, Ragged

__all__ = ["features_fingerprint", "weights_fingerprint"]

_CHUNK = 2**24  # bytes


def features_fingerprint(features: Features | None) -> str | None:
    """Return the fingerprint of what a split gives to the model; None where there is no split."""
    if features is None:
        return None
    digest = blake2b(digest_size=16)
    for array in (*_arrays(features.input_ids), *_labels(features.labels), features.example):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _labels(labels: Mapping[str, Any]) -> list[Any]:
    return [array for name in sorted(labels) for array in _arrays(labels[name])]


def _arrays(values: Any) -> list[Any]:
    return [values.values, values.offsets] if isinstance(values, Ragged) else [values]


def weights_fingerprint(model: str | Path) -> str:
    """Return the fingerprint of the weights files of a checkpoint, wherever they are.

    Raises:
        CheckpointNotFoundError: There is no checkpoint.
    """
    digest = blake2b(digest_size=16)
    paths, _ = Source.find(model).shards()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
