"""Tensors that are described but not read: their values come when they are asked for, and leave memory after it."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from distilbert_common.errors import CheckpointError

__all__ = [
    "CHUNK_BYTES",
    "DTYPES",
    "KNOWN_DTYPES",
    "Array",
    "LazyTensor",
    "bytes_of",
    "cast_float",
    "equal",
    "fill",
    "lazy",
]

Array = np.ndarray[Any, np.dtype[Any]]

DTYPES: dict[str, np.dtype[Any]] = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
"""The types that a weight can have."""

KNOWN_DTYPES: dict[str, np.dtype[Any]] = {
    **DTYPES,
    **{name: np.dtype(name) for name in ("int64", "int32", "int16", "int8", "uint32", "uint8", "bool")},
}
"""The types that a tensor in a file can have, weight or not."""

CHUNK_BYTES = 2**21
"""How much of a tensor is converted and written at once: what stays in a processor's cache."""

_STRIP = 32


@dataclass(frozen=True)
class LazyTensor:
    """A tensor in a file.

    Attributes:
        shape: Its shape.
        dtype: The type in which it is read.
        load: Returns the values, of any type and byte order; each call may map the file anew.
        name: What an error calls it.
        map_private: Maps the values as memory that is the caller's alone, or returns None where that cannot be; no
            format but the mapped ones has it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[], Array]
    name: str = "a tensor"
    map_private: Callable[[], Array | None] | None = None

    @property
    def size(self) -> int:
        """The number of values."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes that the values take."""
        return self.size * self.dtype.itemsize

    def read(self) -> Array:
        """Return the values: a read-only view of mapped memory where the format allows, else a copy."""
        return _convert(self.load(), self.dtype, self.name)

    def private(self) -> Array:
        """Return the values as memory that is the caller's alone, where that takes no copy; else as `read` does.

        An array that is writable may be kept and changed: nobody else sees it, and a file stays as it is.
        """
        array = None if self.map_private is None else self.map_private()
        return self.read() if array is None or array.dtype != self.dtype else array

    def chunks(self) -> Iterator[Array]:
        """Yield the values in C order as flat contiguous arrays of at most `CHUNK_BYTES` each.

        So a transposed or converted tensor is written without a second copy of it in memory.
        """
        array = self.load()
        rows = array.reshape(1) if array.ndim == 0 else array
        step = max(1, CHUNK_BYTES // max(1, self.dtype.itemsize * prod(rows.shape[1:])))
        mapping = _mapping(rows)
        for start in range(0, len(rows), step):
            yield _contiguous(_convert(rows[start : start + step], self.dtype, self.name)).reshape(-1)
            if mapping is not None:
                _release(mapping, start * rows.strides[0])

    def transposed(self) -> LazyTensor:
        """Return the transposed tensor, a view: transposing twice costs nothing."""
        return replace(self, shape=self.shape[::-1], load=lambda: self.load().T, map_private=None)

    def reshaped(self, shape: tuple[int, ...]) -> LazyTensor:
        """Return the tensor in another shape of as many values."""
        return replace(self, shape=shape, load=lambda: self.load().reshape(shape), map_private=None)

    def cast(self, dtype: np.dtype[Any]) -> LazyTensor:
        """Return the tensor in another type, converted chunk by chunk when it is read or written."""
        return replace(self, dtype=dtype)


def cast_float(tensor: LazyTensor, dtype: str | None) -> LazyTensor:
    """Return a tensor in another type if it holds floating-point numbers; counters and masks stay as they are."""
    return tensor if dtype is None or tensor.dtype not in DTYPES.values() else tensor.cast(DTYPES[dtype])


def _mapping(array: Array) -> mmap.mmap | None:
    """Return the mapped memory that an array in C order shows, or None where it is another one."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    base = base.obj if isinstance(base, memoryview) else base
    if not array.flags.c_contiguous or not isinstance(base, mmap.mmap):
        return None
    return base if memoryview(base).readonly else None  # others may hold changes that no file has


def _release(mapping: mmap.mmap, nbytes: int) -> None:
    """Give back the memory of the first bytes of a mapping; it comes back from the file if it is looked at again."""
    length = nbytes - nbytes % mmap.ALLOCATIONGRANULARITY
    if length and sys.platform == "linux":
        mapping.madvise(mmap.MADV_DONTNEED, 0, length)


def _contiguous(array: Array) -> Array:
    """Return an array in C order."""
    if array.flags.c_contiguous:
        return array
    ordered = np.empty(array.shape, array.dtype)
    fill(ordered, array)
    return ordered


def fill(target: Array, array: Array) -> None:
    """Copy an array into another, of any type; a transposed matrix goes by strips, three times as fast as at once."""
    if array.flags.c_contiguous:
        target[...] = array
        return
    for start in range(0, array.shape[-1], _STRIP):
        target[..., start : start + _STRIP] = array[..., start : start + _STRIP]


def _convert(array: Array, dtype: np.dtype[Any], name: str) -> Array:
    """Return an array in another type.

    Raises:
        CheckpointError: A finite value is beyond the range of the type.
    """
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    if np.isinf(converted).any() and (lost := np.isinf(converted) & np.isfinite(array)).any():
        raise CheckpointError(
            f"{name}: the value {array[lost][0]} is beyond the range of {dtype.name}; "
            "convert to bfloat16 or float32 instead"
        )
    return converted


def lazy(tensor: LazyTensor | Array) -> LazyTensor:
    """Return an array as a `LazyTensor`; one that is lazy already comes back as it is."""
    if isinstance(tensor, LazyTensor):
        return tensor
    view = tensor.view()
    view.flags.writeable = False  # it is its owner's
    return LazyTensor(tensor.shape, tensor.dtype, lambda: view)


def equal(one: LazyTensor, other: LazyTensor) -> bool:
    """Whether two tensors have the same shape, type and bits."""
    if (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    pairs = zip(one.chunks(), other.chunks(), strict=True)
    return all(np.array_equal(_words(left), _words(right)) for left, right in pairs)


def _words(array: Array) -> Array:
    """Return a flat array's bits as whole numbers, as long ones as fit: eight bytes are compared as fast as one."""
    return array.view(np.uint64 if array.nbytes % 8 == 0 else np.uint8)


def bytes_of(array: Array) -> memoryview:
    """Return a flat array's memory as bytes; numpy offers no buffer of bfloat16 itself."""
    return memoryview(array.view(np.uint8))  # type: ignore[arg-type]
