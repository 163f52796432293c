"""Comparing two checkpoints of any dialects, tensor by tensor and chunk by chunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.opening import open_checkpoint
from distilbert_conversion.source import Source
from distilbert_conversion.weights.lazy import Array, LazyTensor, equal

__all__ = ["STATUSES", "CheckpointDiff", "TensorDiff", "deviation", "diff"]

STATUSES = ("equal", "values", "type", "shape", "only in A", "only in B")
"""What two checkpoints' tensors of one name can be: the same to the last bit, or the first thing that differs."""


@dataclass(frozen=True)
class TensorDiff:
    """What became of one name.

    Attributes:
        name: Bare canonical name; the name in the file where no row of the weight table has it.
        status: One of `STATUSES`.
        shapes: The shape in A and in B, PyTorch's; None where it is not there.
        dtypes: The type in A and in B.
        absolute: Largest |a - b|; None where the shapes do not allow it; infinite where only one is NaN.
        relative: Largest |a - b| / |a| where a is not 0.
    """

    name: str
    status: str
    shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    dtypes: tuple[str | None, str | None]
    absolute: float | None = None
    relative: float | None = None


@dataclass(frozen=True)
class CheckpointDiff:
    """What became of every name, sorted.

    Attributes:
        a: The weights file, or index of shards, of A.
        b: The same of B.
        dialects: The two dialects.
        tensors: One entry per name.
        tied: A projector that only repeats the embeddings, and that one of the two does not store.
    """

    a: Path
    b: Path
    dialects: tuple[str, str]
    tensors: tuple[TensorDiff, ...]
    tied: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether every tensor is the same to the last bit."""
        return all(tensor.status == "equal" for tensor in self.tensors)

    @property
    def counts(self) -> dict[str, int]:
        """How many tensors have each status, in the order of `STATUSES`."""
        counts = Counter(tensor.status for tensor in self.tensors)
        return {status: counts[status] for status in STATUSES}


def diff(
    a: str | Path | Source, b: str | Path | Source, *, progress: Callable[[int, int], None] | None = None
) -> CheckpointDiff:
    """Compare two checkpoints in PyTorch's names and layout; a few megabytes are in memory at a time.

    Args:
        a: A directory, a weights file, an index of shards, a hub id, or what `Source.find` made of one.
        b: The same.
        progress: Called with the bytes of A that were compared last and the bytes in all.

    Raises:
        CheckpointError: One of them is missing, damaged, or no DistilBERT.
    """
    with open_checkpoint(a) as one, open_checkpoint(b) as other:
        left, right = _comparable(one), _comparable(other)
        tied = {name for name in one.tied ^ other.tied if (name in left) != (name in right)}
        total = sum(tensor.nbytes for tensor in left.values())
        diffs = []
        for name in sorted((left.keys() | right.keys()) - tied):
            diffs.append(_compared(name, left.get(name), right.get(name)))
            if progress is not None and name in left:
                progress(left[name].nbytes, total)
        dialects = (one.dialect, other.dialect)
        return CheckpointDiff(one.path, other.path, dialects, tuple(diffs), tuple(sorted(tied)))


def _comparable(checkpoint: Checkpoint) -> dict[str, LazyTensor]:
    """Return the weights, a user's own too; buffers of old versions do not matter."""
    return {**checkpoint.tensors, **checkpoint.extras}


def _compared(name: str, a: LazyTensor | None, b: LazyTensor | None) -> TensorDiff:
    shapes = (a.shape if a else None, b.shape if b else None)
    dtypes = (a.dtype.name if a else None, b.dtype.name if b else None)
    if a is None or b is None:
        return TensorDiff(name, "only in B" if a is None else "only in A", shapes, dtypes)
    if a.shape != b.shape:
        return TensorDiff(name, "shape", shapes, dtypes)
    if equal(a, b):
        return TensorDiff(name, "equal", shapes, dtypes, 0.0, 0.0)
    return TensorDiff(name, "values" if a.dtype == b.dtype else "type", shapes, dtypes, *deviation(a, b))


def deviation(a: LazyTensor, b: LazyTensor) -> tuple[float, float]:
    """Return the largest |a - b| and the largest |a - b| / |a| of two tensors of one shape, in float64.

    Two NaN, or twice the same infinity, deviate by nothing; a NaN from a number, by infinity.
    """
    wide: np.dtype[Any] = np.dtype(np.float64)
    pairs = zip(a.cast(wide).chunks(), b.cast(wide).chunks(), strict=True)
    deviations = [_deviation(left, right) for left, right in pairs if left.size]
    absolute, relative = zip(*deviations, strict=True) if deviations else ((0.0,), (0.0,))
    return max(absolute), max(relative)


def _deviation(a: Array, b: Array) -> tuple[float, float]:
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        apart = np.where(same, 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf, posinf=np.inf))
        ratio = np.nan_to_num(apart / np.abs(a), nan=0.0, posinf=np.inf)
    return float(apart.max()), float(np.where((a == 0) | same, 0.0, ratio).max())
