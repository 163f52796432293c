"""MessagePack as `flax.serialization` writes it: nested maps, the arrays in them as extensions of type 1.

An array's extension holds, itself as MessagePack, (shape, name of the type, bytes). One above 2^30 bytes is a map
instead: a marker, the shape, and flat chunks. Maps are walked by hand so that the arrays' bytes, read by their
offsets, need not be read; the bytes written are those that Flax writes.
Source: flax 0.12 `flax/serialization.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import msgpack

from distilbert_common.errors import CheckpointError
from distilbert_conversion.formats.msgpack_reader import MARKER, NDARRAY, Reader
from distilbert_conversion.weights.dialects import Dialect
from distilbert_conversion.weights.lazy import LazyTensor, bytes_of
from distilbert_conversion.weights.mapped import MappedFile

__all__ = ["MAX_CHUNK", "read", "write"]

MAX_CHUNK = 2**30
"""Bytes above which Flax writes an array in chunks."""

_BYTES_HEADS = {1: b"\xc4", 2: b"\xc5", 4: b"\xc6"}
_EXT_HEADS = {1: b"\xc7", 2: b"\xc8", 4: b"\xc9"}


def read(path: Path) -> dict[str, LazyTensor]:
    """Return the tensors of a file by their path, joined by "/".

    Raises:
        CheckpointError: The file is damaged, or holds something else than nested maps of arrays.
    """
    reader = Reader(MappedFile(path))
    try:
        tree = reader.value()
    except UnicodeDecodeError as error:
        raise reader.fault("text that is not UTF-8") from error
    if not isinstance(tree, dict) or reader.offset != reader.file.size:
        raise reader.fault("no map of arrays, or something after it")
    if isinstance(tree.get("params"), dict) and "opt_state" in tree:
        tree = {"params": tree["params"]}  # a training state: beside its parameters lies the optimizer's
    tensors: dict[str, LazyTensor] = {}
    for name, leaf in _flat(tree):
        if not isinstance(leaf, LazyTensor):
            raise CheckpointError(
                f"{path}: {name!r} is a {type(leaf).__name__}; expected an array: "
                "save the model's parameters alone, without the state of a training"
            )
        if name in tensors:
            raise CheckpointError(f"{path} has {name!r} twice: as one name with a slash, and as one map in another")
        tensors[name] = leaf
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
    """Write an array, in chunks where it is larger than `MAX_CHUNK`."""
    stream = (bytes_of(chunk) for chunk in tensor.chunks())
    if tensor.nbytes <= MAX_CHUNK:
        _write_values(file, tensor.shape, tensor, stream, memoryview(b""))
        return
    size = max(1, MAX_CHUNK // tensor.dtype.itemsize)
    sizes = [min(size, tensor.size - start) for start in range(0, tensor.size, size)]
    shape = {str(axis): length for axis, length in enumerate(tensor.shape)}
    pack = msgpack.packb
    file.write(msgpack.Packer().pack_map_header(3) + pack(MARKER) + pack(True) + pack("shape") + pack(shape))
    file.write(pack("chunks") + msgpack.Packer().pack_map_header(len(sizes)))
    unwritten = memoryview(b"")
    for number, values in enumerate(sizes):
        file.write(pack(str(number)))
        unwritten = _write_values(file, (values,), tensor, stream, unwritten)


def _write_values(
    file: BinaryIO, shape: tuple[int, ...], tensor: LazyTensor, stream: Iterator[memoryview], unwritten: memoryview
) -> memoryview:
    """Write an array's next values as one extension; return the bytes of the stream that are left over."""
    nbytes = prod(shape) * tensor.dtype.itemsize
    start = msgpack.packb([list(shape), tensor.dtype.name])
    start = b"\x93" + start[1:] + _length(nbytes, _BYTES_HEADS)  # a list of three, the third the bytes
    file.write(_length(len(start) + nbytes, _EXT_HEADS) + bytes([NDARRAY]) + start)
    while nbytes:
        unwritten = unwritten or next(stream)
        part = unwritten[:nbytes]
        file.write(part)
        unwritten = unwritten[len(part) :]
        nbytes -= len(part)
    return unwritten


def _length(length: int, heads: Mapping[int, bytes]) -> bytes:
    """Return a value's first byte and its length, in the fewest bytes that hold it, as the msgpack library does."""
    width = next(width for width in heads if length < 1 << 8 * width)
    return heads[width] + length.to_bytes(width, "big")
