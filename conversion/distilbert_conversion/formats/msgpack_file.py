"""MessagePack as `flax.serialization` writes it: nested maps, the arrays in them as extensions of type 1.

An array's extension holds, itself as MessagePack, (shape, name of the type, bytes). One above 2^30 bytes is a map
instead: a marker, the shape, and flat pieces. Maps are walked by hand so that the arrays' bytes, found by their
offsets, need not be read; the bytes written are those that Flax writes.
Sources: https://github.com/msgpack/msgpack/blob/master/spec.md; flax 0.12 `flax/serialization.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import numpy as np

from distilbert_common.errors import CheckpointError
from distilbert_conversion.dialects import Dialect
from distilbert_conversion.lazy import DTYPES, KNOWN_DTYPES, LazyTensor, MappedFile, bytes_of

MAX_CHUNK = 2**30
"""Bytes above which Flax divides an array."""

_MARKER = "__msgpack_chunked_array__"
_NDARRAY = 1
_MAX_DEPTH = 32

# First byte -> what follows and in how many bytes its length or value is written; the "fix" kinds hold it themselves.
_KINDS: dict[int, tuple[str, int]] = {
    0xC2: ("false", 0), 0xC3: ("true", 0),
    0xC4: ("bytes", 1), 0xC5: ("bytes", 2), 0xC6: ("bytes", 4),
    0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4),
    0xCC: ("int", 1), 0xCD: ("int", 2), 0xCE: ("int", 4), 0xCF: ("int", 8),
    0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4),
    0xDC: ("array", 2), 0xDD: ("array", 4),
    0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip
_FIXED: tuple[tuple[range, str], ...] = (
    (range(0x80), "int"),
    (range(0x80, 0x90), "map"),
    (range(0x90, 0xA0), "array"),
    (range(0xA0, 0xC0), "str"),
)
_FIXED_EXT = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


class _Reader:
    """A position in a file, and the few kinds of MessagePack values that a checkpoint has."""

    def __init__(self, file: MappedFile) -> None:
        self.file = file
        self.offset = 0

    def take(self, length: int) -> bytes:
        """Return the next bytes."""
        taken = self.file.bytes(self.offset, length)
        self.offset += length
        return taken

    def head(self) -> tuple[str, int]:
        """Return the next value's kind and its length, or for whole numbers its value."""
        (first,) = self.take(1)
        if first in _FIXED_EXT:
            return "ext", _FIXED_EXT[first]
        if first in _KINDS:
            kind, width = _KINDS[first]
            return kind, int.from_bytes(self.take(width), "big")
        for span, kind in _FIXED:
            if first in span:
                return kind, first - span.start
        raise self.fault(f"the value {first:#x}")

    def value(self, depth: int = 0) -> Any:
        """Return the next value: a dict, text, a whole number, true or false, a list, or an array as `LazyTensor`."""
        if depth > _MAX_DEPTH:
            raise self.fault("maps nested too deep")
        kind, length = self.head()
        match kind:
            case "map":
                return self.map(length, depth + 1)
            case "array":
                return [self.value(depth + 1) for _ in range(length)]
            case "str":
                return self.take(length).decode()
            case "ext":
                return self.array(length)
            case "int":
                return length
            case "true" | "false":
                return kind == "true"
        raise self.fault(f"a value of kind {kind}")

    def map(self, length: int, depth: int) -> Any:
        """Return the `length` pairs of a map as a dict, or the array whose pieces they are."""
        pairs: dict[str, Any] = {}
        for _ in range(length):
            key = self.text()
            if key in pairs:
                raise self.fault(f"the key {key!r} twice")
            pairs[key] = self.value(depth)
        return self.joined(pairs) if _MARKER in pairs else pairs

    def joined(self, pairs: dict[str, Any]) -> LazyTensor:
        """Return the array that was divided into flat pieces."""
        try:
            shape = tuple(pairs["shape"][str(axis)] for axis in range(len(pairs["shape"])))
            pieces: list[LazyTensor] = [pairs["chunks"][str(number)] for number in range(len(pairs["chunks"]))]
            whole = sum(piece.size for piece in pieces) == prod(shape) and len({piece.dtype for piece in pieces}) == 1
        except (KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            raise self.fault("a divided array whose pieces do not make up its shape")
        return LazyTensor(
            shape, pieces[0].dtype, lambda: np.concatenate([piece.read() for piece in pieces]).reshape(shape)
        )

    def text(self) -> str:
        """Return the next value, which must be text."""
        kind, length = self.head()
        if kind != "str":
            raise self.fault(f"a key of kind {kind}")
        return self.take(length).decode()

    def array(self, length: int) -> LazyTensor:
        """Describe the array in an extension of `length` bytes, and step over it."""
        if self.take(1)[0] != _NDARRAY:
            raise self.fault("an extension that is no array")
        end = self.offset + length
        if self.head() != ("array", 3):
            raise self.fault("an array without shape, type and bytes")
        shape, name = tuple(self.value()), self.text()
        kind, nbytes = self.head()
        if name not in KNOWN_DTYPES:
            raise self.fault(f"the type {name!r} (expected one of {', '.join(DTYPES)})")
        dtype = KNOWN_DTYPES[name]
        if kind != "bytes" or not all(type(size) is int for size in shape) or prod(shape) * dtype.itemsize != nbytes:
            raise self.fault(f"an array of shape {shape} in {nbytes} bytes")
        tensor = self.file.tensor(self.offset, shape, dtype)
        self.offset = end
        return tensor

    def fault(self, what: str) -> CheckpointError:
        """Return the error that says what was found."""
        return CheckpointError(
            f"{self.file.path} is not a Flax checkpoint: at byte {self.offset} it has {what}; get it again"
        )


def read(path: Path) -> dict[str, LazyTensor]:
    """Return the tensors of a file by their path, joined by "/".

    Raises:
        CheckpointError: The file is damaged, or holds something else than nested maps of arrays.
    """
    reader = _Reader(MappedFile(path))
    try:
        tree = reader.value()
    except UnicodeDecodeError as error:
        raise reader.fault("text that is not UTF-8") from error
    if not isinstance(tree, dict) or reader.offset != reader.file.size:
        raise reader.fault("no map of arrays, or something after it")
    tensors = dict(_flat(tree))
    for name, leaf in tensors.items():
        if not isinstance(leaf, LazyTensor):
            raise CheckpointError(f"{path}: {name!r} is a {type(leaf).__name__}; expected an array")
    return tensors


def _flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}/")
        else:
            yield f"{path}{key}", value


def write(path: Path, tensors: Mapping[str, LazyTensor], dialect: Dialect, head: str | None) -> None:
    """Write tensors to a file, maps in the order of their keys.

    Args:
        path: The file.
        tensors: By their paths, joined by "/".
        dialect: Not used.
        head: Not used.
    """
    tree: dict[str, Any] = {}
    for name, tensor in tensors.items():
        *branches, leaf = name.split("/")
        branch = tree
        for part in branches:
            branch = branch.setdefault(part, {})
        branch[leaf] = tensor
    with path.open("wb") as file:
        _write_map(file, tree)


def _write_map(file: BinaryIO, tree: Mapping[str, Any]) -> None:
    file.write(msgpack.Packer().pack_map_header(len(tree)))
    for key in sorted(tree):
        file.write(msgpack.packb(key))
        if isinstance(tree[key], LazyTensor):
            _write_array(file, tree[key])
        else:
            _write_map(file, tree[key])


def _write_array(file: BinaryIO, tensor: LazyTensor) -> None:
    """Write an array, divided where it is larger than `MAX_CHUNK`."""
    stream = (bytes_of(chunk) for chunk in tensor.chunks())
    if tensor.nbytes <= MAX_CHUNK:
        _write_piece(file, tensor.shape, tensor, stream, memoryview(b""))
        return
    size = max(1, MAX_CHUNK // tensor.dtype.itemsize)
    sizes = [min(size, tensor.size - start) for start in range(0, tensor.size, size)]
    shape = {str(axis): length for axis, length in enumerate(tensor.shape)}
    pack = msgpack.packb
    file.write(msgpack.Packer().pack_map_header(3) + pack(_MARKER) + pack(True) + pack("shape") + pack(shape))
    file.write(pack("chunks") + msgpack.Packer().pack_map_header(len(sizes)))
    rest = memoryview(b"")
    for number, values in enumerate(sizes):
        file.write(pack(str(number)))
        rest = _write_piece(file, (values,), tensor, stream, rest)


def _write_piece(
    file: BinaryIO, shape: tuple[int, ...], tensor: LazyTensor, stream: Iterator[memoryview], rest: memoryview
) -> memoryview:
    """Write an array's next values as one extension; return the bytes of the stream that are left over."""
    nbytes = prod(shape) * tensor.dtype.itemsize
    start = msgpack.packb([list(shape), tensor.dtype.name])
    start = b"\x93" + start[1:] + _length(nbytes, _BYTES_HEADS)  # a list of three, the third the bytes
    file.write(_length(len(start) + nbytes, _EXT_HEADS) + bytes([_NDARRAY]) + start)
    while nbytes:
        rest = rest or next(stream)
        part = rest[:nbytes]
        file.write(part)
        rest = rest[len(part) :]
        nbytes -= len(part)
    return rest


_BYTES_HEADS = {1: b"\xc4", 2: b"\xc5", 4: b"\xc6"}
_EXT_HEADS = {1: b"\xc7", 2: b"\xc8", 4: b"\xc9"}


def _length(length: int, heads: Mapping[int, bytes]) -> bytes:
    """Return a value's first byte and its length, in the fewest bytes that hold it, as the msgpack library does."""
    width = next(width for width in heads if length < 1 << 8 * width)
    return heads[width] + length.to_bytes(width, "big")
