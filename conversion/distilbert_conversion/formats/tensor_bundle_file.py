"""TensorFlow's own checkpoints, as Google published BERT: `bert_model.ckpt.index` and its `.data-00000-of-00001`.

The index is a sorted table of LevelDB: blocks of keys, each with as many bytes as it shares with the one before left
out, and a footer that says where the block of blocks is. A value is a protocol buffer: type, shape, file, offset, size.
The data files hold the numbers uncompressed and are mapped. Read only; names come out as transformers' TF classes have
them, without the optimizer's state.
Sources: TensorFlow `core/protobuf/tensor_bundle.proto`, `core/lib/io/format.cc`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

from distilbert_common.errors import CheckpointError
from distilbert_conversion.weights.lazy import KNOWN_DTYPES, LazyTensor
from distilbert_conversion.weights.mapped import MappedFile

__all__ = ["read"]

DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 6: "int8", 9: "int64", 10: "bool", 14: "bfloat16",
    19: "float16",
}  # fmt: skip
"""TensorFlow's numbers of types."""

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48  # bytes
_TRAILER = 5  # bytes after a block: whether it is compressed, and a checksum
_SUFFIX = ".index"
_OPTIMIZER = re.compile(
    r"(^|/)(adam_[mv]|global_step|lamb_[mv]|Adam(_1)?|_CHECKPOINTABLE_OBJECT_GRAPH|save_counter.*)$"
)
_TABLES = {"word_embeddings": "weight", "position_embeddings": "embeddings", "token_type_embeddings": "embeddings"}


Fields = Mapping[int, int | bytes]
"""The fields of a protocol buffer by number; of one that is there several times the last."""


def read(path: Path) -> dict[str, LazyTensor]:
    """Return the tensors of a checkpoint by their names.

    Args:
        path: The `.index` file.

    Raises:
        CheckpointError: It is damaged, compressed, or a data file is missing.
    """
    try:
        entries = dict(_entries(MappedFile(path)))
        shards = _number(dict(_fields(entries.pop(b"", b""))), 1, 1)
        weights = {key.decode(): dict(_fields(value)) for key, value in entries.items()}
        weights = {key: fields for key, fields in weights.items() if _is_weight(key, fields)}
        files = {shard: _data_file(path, shard, shards) for shard in {_number(f, 3) for f in weights.values()}}
        return {_name(key): _tensor(files[_number(fields, 3)], key, fields) for key, fields in weights.items()}
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is not a whole index of a TensorFlow checkpoint; get it again") from error


def _entries(file: MappedFile) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of the table."""
    footer = file.bytes(file.size - _FOOTER, _FOOTER)
    if file.size < _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("no table")
    _, offset = _handle(footer, 0)  # of blocks about the blocks, which are not needed
    for _, handle in _block(file, *_handle(footer, offset)[0]):
        yield from _block(file, *_handle(handle, 0)[0])


def _handle(data: bytes, offset: int) -> tuple[tuple[int, int], int]:
    """Return where a block is, (offset, size), and where its description ends."""
    start, offset = _varint(data, offset)
    size, offset = _varint(data, offset)
    return (start, size), offset


def _block(file: MappedFile, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of one block."""
    data = file.bytes(start, size + _TRAILER)
    if data[size] != 0:
        raise CheckpointError(f"{file.path} is compressed; save the checkpoint again with today's TensorFlow")
    (restarts,) = struct.unpack("<I", data[size - 4 : size])
    end, offset, key = size - 4 * (restarts + 1), 0, b""
    while offset < end:
        shared, offset = _varint(data, offset)
        length_of_key, offset = _varint(data, offset)
        length, offset = _varint(data, offset)
        if shared > len(key) or offset + length_of_key + length > end:
            raise ValueError("an entry beyond its block")
        key = key[:shared] + data[offset : offset + length_of_key]
        yield key, data[offset + length_of_key : offset + length_of_key + length]
        offset += length_of_key + length


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """Return a number in groups of seven bits, and where it ends."""
    value = 0
    for shift in range(0, 64, 7):
        value |= (data[offset] & 127) << shift
        offset += 1
        if data[offset - 1] < 128:
            return value, offset
    raise ValueError("a number without end")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a protocol buffer."""
    offset = 0
    while offset < len(data):
        tag, offset = _varint(data, offset)
        if tag & 7 == 0:
            value, offset = _varint(data, offset)
            yield tag >> 3, value
        else:
            length, offset = _varint(data, offset) if tag & 7 == 2 else ({1: 8, 5: 4}[tag & 7], offset)
            yield tag >> 3, data[offset : offset + length]
            offset += length


def _number(fields: Fields, number: int, default: int = 0) -> int:
    """Return a field that is a number; protocol buffers leave zeros out."""
    value = fields.get(number, default)
    if not isinstance(value, int):
        raise TypeError("text where a number is expected")
    return value


def _text(value: int | bytes) -> bytes:
    """Return a field that is text or another protocol buffer."""
    if not isinstance(value, bytes):
        raise TypeError("a number where text is expected")
    return value


def _is_weight(key: str, fields: Fields) -> bool:
    """Whether an entry is a weight: no text, no state of the optimizer."""
    return _number(fields, 1) in DTYPES and not _OPTIMIZER.search(key)


def _data_file(path: Path, shard: int, shards: int) -> MappedFile:
    """Open one of the files that hold the numbers."""
    data = path.with_name(f"{path.name.removesuffix(_SUFFIX)}.data-{shard:05d}-of-{shards:05d}")
    if not data.is_file():
        raise CheckpointError(f"{path} names a file that is not there: {data.name}; fetch it too")
    return MappedFile(data)


def _tensor(file: MappedFile, key: str, fields: Fields) -> LazyTensor:
    """Describe one tensor."""
    dtype = KNOWN_DTYPES[DTYPES[_number(fields, 1)]]
    axes = [dict(_fields(_text(axis))) for number, axis in _fields(_text(fields.get(2, b""))) if number == 2]
    shape = tuple(_number(axis, 1) for axis in axes)
    if 7 in fields or _number(fields, 5) != prod(shape) * dtype.itemsize:
        raise CheckpointError(f"{file.path}: {key!r} is in slices; save the checkpoint again without partitions")
    return file.tensor(_number(fields, 4), shape, dtype)


def _name(key: str) -> str:
    """Return the name in transformers' TF classes of a name in Google's code."""
    name = re.sub(r"\blayer_([0-9]+)\b", r"layer_._\1", key)
    name = name.replace("predictions/output_bias", "predictions/bias")
    parameter = _TABLES.get(name.rpartition("/")[2])
    return f"{name}/{parameter}:0" if parameter else f"{name}:0"
