"""Where the parts of a file begin: the boundaries at which damage bites, and files are cut off."""

from __future__ import annotations

import io
import pickletools
import re
import struct
import zipfile
from collections.abc import Callable, Iterable

_HDF5_PARTS = re.compile(rb"TREE|SNOD|HEAP|OHDR|OCHK|GCOL|FRHP|\x89HDF")
_ZIP_PARTS = re.compile(rb"PK[\x01-\x08][\x01-\x08]")
_JSON_PARTS = re.compile(rb'[{}\[\]:,"]')
_MSGPACK_PARTS = re.compile(rb"[\xa1-\xbf][A-Za-z0-9_]{2,}|[\xc7-\xc9].{1,4}\x01\x93", re.DOTALL)


def _safetensors(content: bytes) -> Iterable[int]:
    (length,) = struct.unpack("<Q", content[:8])
    header = content[8 : 8 + length]
    yield from range(9)
    yield from (8 + match.start() for match in _JSON_PARTS.finditer(header))
    yield from (8 + length + int(offset) for offset in re.findall(rb'"data_offsets":\[(\d+),', header))


def _zip(content: bytes) -> Iterable[int]:
    for match in _ZIP_PARTS.finditer(content):
        yield from range(match.start(), min(match.start() + 46, len(content)), 2)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            lengths = struct.unpack("<HH", content[entry.header_offset + 26 : entry.header_offset + 30])
            start = entry.header_offset + 30 + sum(lengths)
            yield from (start, start + entry.file_size)
            if entry.filename.endswith(".pkl"):
                yield from _pickles(content, start)


def _pickles(content: bytes, start: int = 0) -> Iterable[int]:
    file = io.BytesIO(content)
    file.seek(start)
    while content[file.tell() : file.tell() + 1] == b"\x80":
        yield from (position for _, _, position in pickletools.genops(file) if position is not None)
        yield file.tell()


def _hdf5(content: bytes) -> Iterable[int]:
    yield from range(0, 96, 4)
    for match in _HDF5_PARTS.finditer(content):
        yield from range(match.start(), match.start() + 48, 4)
    # A header of the old kind has no signature: version 1, a zero, and a small number of messages, at eights.
    for start in range(0, len(content) - 16, 8):
        if content[start : start + 2] == b"\x01\0" and 0 < content[start + 2] < 16 and content[start + 3] == 0:
            yield from range(start, min(start + 136, len(content)), 4)


def _msgpack(content: bytes) -> Iterable[int]:
    for match in _MSGPACK_PARTS.finditer(content):
        yield from (max(0, match.start() - 1), match.start(), match.start() + 1, match.end())


def _json(content: bytes) -> Iterable[int]:
    return (match.start() for match in _JSON_PARTS.finditer(content))


_PARTS: dict[str, Callable[[bytes], Iterable[int]]] = {
    "safetensors": _safetensors,
    "zip": _zip,
    "pickles": _pickles,
    "hdf5": _hdf5,
    "msgpack": _msgpack,
    "json": _json,
}


def boundaries(kind: str, content: bytes) -> list[int]:
    """Return the offsets at which the parts of a good file begin, sorted; its end is the last.

    Args:
        kind: "safetensors", "zip", "pickles", "hdf5", "msgpack" or "json".
        content: The file.
    """
    return sorted({*_PARTS[kind](content), len(content)})
