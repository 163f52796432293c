"""safetensors: a JSON header with offsets, then the tensors' bytes.

The library validates the header; tensors are mapped at the header's offsets, which holds one at a time in
memory, knows bfloat16, and needs no framework. Writing lays the header down by hand, since the library's writer
takes all tensors at once.
Source: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from distilbert_common.errors import CheckpointError
from distilbert_conversion.weights.dialects import Dialect
from distilbert_conversion.weights.lazy import KNOWN_DTYPES, LazyTensor, bytes_of
from distilbert_conversion.weights.mapped import MappedFile

__all__ = ["read", "read_metadata", "write"]

CODES: dict[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U32": "uint32",
    "U8": "uint8",
    "BOOL": "bool",
}
"""The format's names of types, and NumPy's."""

_CODE_OF = {KNOWN_DTYPES[name]: code for code, name in CODES.items()}


def read(path: Path) -> dict[str, LazyTensor]:
    """Return the tensors of a file by name.

    Raises:
        CheckpointError: The file is damaged, or a tensor has a type that is not known.
    """
    file = MappedFile(path)
    header, start = _header(file)
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in CODES:
            raise CheckpointError(
                f"{path}: tensor {name!r} has the type {entry['dtype']}; expected one of {', '.join(CODES)}"
            )
        offset = start + entry["data_offsets"][0]
        dtype = KNOWN_DTYPES[CODES[entry["dtype"]]]
        tensors[name] = file.tensor(offset, tuple(entry["shape"]), dtype, allow_private=True)
    return tensors


def read_metadata(path: Path) -> dict[str, str]:
    """Return the free text fields of a file's header."""
    return dict(_header(MappedFile(path))[0].get("__metadata__") or {})


def _header(file: MappedFile) -> tuple[dict[str, Any], int]:
    """Return the validated header and the offset at which the tensors begin."""
    try:
        with safe_open(file.path, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file.path} is not a whole safetensors file ({error}); get it again") from error
    (length,) = struct.unpack("<Q", file.bytes(0, 8))
    pairs = json.loads(file.bytes(8, length), object_pairs_hook=list)
    header = {name: dict(entry) if isinstance(entry, list) else entry for name, entry in pairs}
    if len(header) != len(pairs):
        raise CheckpointError(f"{file.path} has a tensor name twice, and readers differ in which they take")
    return header, 8 + length


def write(path: Path, tensors: Mapping[str, LazyTensor], dialect: Dialect, head: str | None) -> None:
    """Write tensors to a file, larger types first and then by name, as the library does.

    Args:
        path: The file.
        tensors: By the names they get.
        dialect: Its framework becomes the `format` that transformers looks for.
        head: Not used.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {"__metadata__": {"format": dialect.framework}}
    offset = 0
    for name in order:
        tensor = tensors[name]
        span = [offset, offset + tensor.nbytes]
        header[name] = {"dtype": _CODE_OF[tensor.dtype], "shape": list(tensor.shape), "data_offsets": span}
        offset += tensor.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors start aligned
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            for chunk in tensors[name].chunks():
                file.write(bytes_of(chunk))
