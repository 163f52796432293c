"""Walking MessagePack by hand: the maps are read, the arrays only located.

Source: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from distilbert_common.errors import CheckpointError
from distilbert_conversion.weights.lazy import DTYPES, KNOWN_DTYPES, LazyTensor
from distilbert_conversion.weights.mapped import MappedFile

__all__ = ["MARKER", "NDARRAY", "Reader"]

MARKER = "__msgpack_chunked_array__"
NDARRAY = 1
SCALAR = 3
"""A number of NumPy's own, written as the array with its value."""
_MAX_DEPTH = 32

# First byte -> what follows and in how many bytes its length or value is written; the "fix" kinds hold it themselves.
_KINDS: dict[int, tuple[str, int]] = {
    0xC0: ("nil", 0), 0xC2: ("false", 0), 0xC3: ("true", 0),
    0xC4: ("bytes", 1), 0xC5: ("bytes", 2), 0xC6: ("bytes", 4),
    0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4), 0xCA: ("float", 4), 0xCB: ("float", 8),
    0xCC: ("int", 1), 0xCD: ("int", 2), 0xCE: ("int", 4), 0xCF: ("int", 8),
    0xD0: ("signed", 1), 0xD1: ("signed", 2), 0xD2: ("signed", 4), 0xD3: ("signed", 8),
    0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4),
    0xDC: ("array", 2), 0xDD: ("array", 4),
    0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip
_FIXED: tuple[tuple[range, str], ...] = (
    (range(0x80), "int"),
    (range(0x80, 0x90), "map"),
    (range(0x90, 0xA0), "array"),
    (range(0xA0, 0xC0), "str"),
    (range(0xE0, 0x100), "negative"),
)
_NUMBERS = {"float": ">f", "signed": ">i"}
"""Kinds whose value follows, as NumPy names it without its width."""
_FIXED_EXT = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


class Reader:
    """A position in a file, and the few kinds of MessagePack values that a checkpoint has."""

    def __init__(self, file: MappedFile) -> None:
        self.file = file
        self.offset = 0

    def read_bytes(self, length: int) -> bytes:
        """Return the next bytes."""
        content = self.file.bytes(self.offset, length)
        self.offset += length
        return content

    def head(self) -> tuple[str, int]:
        """Return the next value's kind and its length, or for integers that are not negative its value."""
        (first,) = self.read_bytes(1)
        if first in _FIXED_EXT:
            return "ext", _FIXED_EXT[first]
        if first in _KINDS:
            kind, width = _KINDS[first]
            return kind, width if kind in _NUMBERS else int.from_bytes(self.read_bytes(width), "big")
        for span, kind in _FIXED:
            if first in span:
                return kind, first - span.start
        raise self.fault(f"the value {first:#x}")

    def value(self, depth: int = 0) -> Any:
        """Return the next value: a dict, text, a number, true, false or None, a list, or an array as `LazyTensor`."""
        if depth > _MAX_DEPTH:
            raise self.fault("maps nested too deep")
        kind, length = self.head()
        match kind:
            case "map":
                return self.map(length, depth + 1)
            case "array":
                return [self.value(depth + 1) for _ in range(length)]
            case "str":
                return self.read_bytes(length).decode()
            case "ext":
                return self.array(length)
            case "int":
                return length
            case "negative":
                return length - 32
            case "float" | "signed":
                return np.frombuffer(self.read_bytes(length), f"{_NUMBERS[kind]}{length}").item()
            case "nil":
                return None
            case "true" | "false":
                return kind == "true"
        raise self.fault(f"a value of kind {kind}")

    def map(self, length: int, depth: int) -> Any:
        """Return the `length` pairs of a map as a dict, or the array whose chunks they are."""
        pairs: dict[str, Any] = {}
        for _ in range(length):
            key = self.text()
            if key in pairs:
                raise self.fault(f"the key {key!r} twice")
            pairs[key] = self.value(depth)
        return self.joined(pairs) if MARKER in pairs else pairs

    def joined(self, pairs: dict[str, Any]) -> LazyTensor:
        """Return the array that was written in flat chunks."""
        try:
            shape = tuple(pairs["shape"][str(axis)] for axis in range(len(pairs["shape"])))
            chunks: list[LazyTensor] = [pairs["chunks"][str(number)] for number in range(len(pairs["chunks"]))]
            plain = all(type(size) is int for size in shape) and len({chunk.dtype for chunk in chunks}) == 1
            is_complete = plain and sum(chunk.size for chunk in chunks) == prod(shape)
        except (KeyError, TypeError, AttributeError):
            is_complete = False
        if not is_complete:
            raise self.fault("a chunked array whose chunks do not make up its shape")
        return LazyTensor(
            shape, chunks[0].dtype, lambda: np.concatenate([chunk.read() for chunk in chunks]).reshape(shape)
        )

    def text(self) -> str:
        """Return the next value, which must be text."""
        kind, length = self.head()
        if kind != "str":
            raise self.fault(f"a key of kind {kind}")
        return self.read_bytes(length).decode()

    def array(self, length: int) -> LazyTensor:
        """Describe the array in an extension of `length` bytes, and step over it."""
        if self.read_bytes(1)[0] not in (NDARRAY, SCALAR):
            raise self.fault("an extension that is no array")
        end = self.offset + length
        if self.head() != ("array", 3):
            raise self.fault("an array without shape, type and bytes")
        sizes, name = self.value(), self.text()
        shape = tuple(sizes) if isinstance(sizes, list) else (-1,)
        kind, nbytes = self.head()
        if name not in KNOWN_DTYPES:
            raise self.fault(f"the type {name!r} (expected one of {', '.join(DTYPES)})")
        dtype = KNOWN_DTYPES[name]
        sane = kind == "bytes" and all(type(size) is int and size >= 0 for size in shape)
        if not sane or prod(shape) * dtype.itemsize != nbytes or self.offset + nbytes != end:
            raise self.fault(f"an array of shape {shape} in {nbytes} bytes")
        tensor = self.file.tensor(self.offset, shape, dtype)
        self.offset = end
        return tensor

    def fault(self, what: str) -> CheckpointError:
        """Return the error that says what is wrong."""
        return CheckpointError(
            f"{self.file.path} is not a Flax checkpoint: at byte {self.offset} it has {what}; get it again"
        )
