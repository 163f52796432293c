"""Files of which tensors are mapped into memory: when one is asked for, and until it is dropped."""

from __future__ import annotations

import mmap
import os
import weakref
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import CheckpointError
from distilbert_conversion.weights.lazy import Array, LazyTensor

__all__ = ["MappedFile"]


class MappedFile:
    """A file open for reading, of which parts are mapped into memory one by one.

    A mapping lives as long as the array that shows it, so that resident memory stays that of one tensor.
    The file stays open until the last tensor of it is dropped, so that replacing it on disk changes nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._descriptor)
        self.size = os.fstat(self._descriptor).st_size
        self._handed_out: list[tuple[int, int]] = []

    def bytes(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`.

        Raises:
            CheckpointError: The file ends before.
        """
        self._check(offset, length)
        return self._shared[offset : offset + length] if length else b""

    @cached_property
    def _shared(self) -> mmap.mmap:
        """The file as one mapping, for small parts; only what is looked at is ever in memory."""
        return mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_READ)

    @cached_property
    def _private(self) -> mmap.mmap:
        """The file as one mapping whose changes stay in this process; one, as each holds a descriptor open."""
        return mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_COPY)

    def tensor(
        self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], *, allow_private: bool = False
    ) -> LazyTensor:
        """Describe the tensor that lies at `offset` in C order; another byte order is swapped when read.

        Args:
            offset: Where it begins.
            shape: Its shape.
            dtype: Its type in the file.
            allow_private: Whether `LazyTensor.private` may map it: only for files that writers replace as a whole,
                as memory that maps a file which is cut off in its place is lost.

        Raises:
            CheckpointError: The file ends before the tensor does.
        """
        nbytes = prod(shape) * dtype.itemsize
        self._check(offset, nbytes)

        def load() -> Array:
            if nbytes == 0:
                return np.empty(shape, dtype)
            start = offset % mmap.ALLOCATIONGRANULARITY
            mapping = mmap.mmap(self._descriptor, start + nbytes, access=mmap.ACCESS_READ, offset=offset - start)
            array: Array = np.frombuffer(mapping, dtype, prod(shape), start)
            return array.reshape(shape)

        map_private = (lambda: self._map_private(offset, shape, dtype)) if allow_private else None
        return LazyTensor(shape, dtype.newbyteorder("="), load, map_private=map_private)

    def _check(self, offset: int, length: int) -> None:
        """Refuse bytes that the file does not have."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise CheckpointError(
                f"{self.path} is cut off: it has {self.size} bytes, and {offset + length} are needed; get it again"
            )

    def _map_private(self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array | None:
        """Return a tensor in the private mapping, where its bytes are given to one caller only; None otherwise."""
        end = offset + prod(shape) * dtype.itemsize
        is_handed_out = any(offset < other_end and other < end for other, other_end in self._handed_out)
        unusable = offset % dtype.itemsize or not dtype.isnative or 0 in shape
        if is_handed_out or unusable or os.name == "nt":  # where a file that is mapped cannot be replaced
            return None
        self._handed_out.append((offset, end))
        array: Array = np.frombuffer(self._private, dtype, prod(shape), offset)
        return array.reshape(shape)
