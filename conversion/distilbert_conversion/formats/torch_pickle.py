"""The description of tensors that PyTorch stores as a pickle: its types, and writing it without PyTorch."""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Mapping
from math import prod

from distilbert_conversion.weights.lazy import LazyTensor

__all__ = ["STORAGES", "contiguous_strides", "pickled"]

STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
"""PyTorch's storage classes, and NumPy's names of their types."""

_STORAGE_OF = {dtype: storage for storage, dtype in STORAGES.items()}


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of an array in C order."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def pickled(tensors: Mapping[str, LazyTensor], keys: Mapping[int, str]) -> bytes:
    """Return the description that `torch.load` reads: instruction by instruction, since PyTorch is not here."""
    op = {opcode.name: opcode.code.encode("latin-1") for opcode in pickletools.opcodes}

    def text(value: str) -> bytes:
        return op["BINUNICODE"] + struct.pack("<I", len(value.encode())) + value.encode()

    def integer(value: int) -> bytes:
        return op["LONG1"] + b"\x08" + struct.pack("<q", value)

    def name(module: str, attribute: str) -> bytes:
        return op["GLOBAL"] + f"{module}\n{attribute}\n".encode()

    def sequence(*items: bytes) -> bytes:
        return op["MARK"] + b"".join(items) + op["TUPLE"]

    def call(function: bytes, *arguments: bytes) -> bytes:
        return function + sequence(*arguments) + op["REDUCE"]

    def tensor(value: LazyTensor) -> bytes:
        kind = name("torch", _STORAGE_OF[value.dtype.name])
        storage = sequence(text("storage"), kind, text(keys[id(value)]), text("cpu"), integer(value.size))
        return call(
            name("torch._utils", "_rebuild_tensor_v2"),
            storage + op["BINPERSID"],
            integer(0),
            sequence(*map(integer, value.shape)),
            sequence(*map(integer, contiguous_strides(value.shape))),
            op["NEWFALSE"],
            call(name("collections", "OrderedDict")),
        )

    pairs = b"".join(text(key) + tensor(value) for key, value in tensors.items())
    return op["PROTO"] + b"\x02" + op["EMPTY_DICT"] + op["MARK"] + pairs + op["SETITEMS"] + op["STOP"]
