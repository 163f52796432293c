"""How large the tensors of a file may be."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path

from distilbert_common.errors import CheckpointError
from distilbert_conversion.weights.lazy import LazyTensor

__all__ = ["check_sizes"]

_MAX_AXES = 32  # NumPy 1 has no more
_MAX_BYTES = 2**62
_MAX_GROWTH = 16
_SPARE = 2**20  # small files grow more when they are read: one row of zeros compresses to nothing


def check_sizes(path: Path, tensors: Iterable[LazyTensor], size: int | None = None) -> None:
    """Check that tensors have shapes that an array can have, and are not many times larger than their file.

    A file of a few bytes can declare terabytes: by compression, by values never written, by strides of zero.

    Args:
        path: The file.
        tensors: Those that it declares.
        size: The bytes that hold them, where the file itself does not.

    Raises:
        CheckpointError: One has not, or they are.
    """
    total = 0
    for tensor in tensors:
        bound = prod(max(1, size) for size in tensor.shape) * tensor.dtype.itemsize
        if len(tensor.shape) > _MAX_AXES or bound > _MAX_BYTES:
            raise CheckpointError(f"{path} has a tensor that no array can hold; get it again")
        total += tensor.nbytes
    size = path.stat().st_size if size is None else size
    if total > _MAX_GROWTH * size + _SPARE:
        raise CheckpointError(
            f"{path} has {size} bytes and declares tensors of {total}; expected at most {_MAX_GROWTH} times the file: "
            "get it again, or save it uncompressed"
        )
