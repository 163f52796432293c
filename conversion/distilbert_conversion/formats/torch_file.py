"""`pytorch_model.bin`: the zip files of PyTorch since 1.6, and the older run of pickles.

The description of the tensors is read by `unpickle`, which runs nothing; their numbers lie uncompressed in the file
and are mapped. Written is the zip form, numbers aligned to 64 bytes, a tensor with two names stored once.
Sources: `torch/serialization.py` and `caffe2/serialize/inline_container.h` of PyTorch.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import CheckpointError
from distilbert_conversion.formats.numpy_pickle import ArrayRef
from distilbert_conversion.formats.torch_pickle import STORAGES, contiguous_strides, pickled
from distilbert_conversion.formats.unpickle import StorageRef, TensorRef, unpickle
from distilbert_conversion.weights.dialects import Dialect
from distilbert_conversion.weights.lazy import KNOWN_DTYPES, Array, LazyTensor, bytes_of
from distilbert_conversion.weights.mapped import MappedFile

__all__ = ["read", "write"]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_ALIGNMENT = 64
_FAULTS = (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)
_DATE = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever it is written


def read(path: Path) -> dict[str, LazyTensor]:
    """Return the tensors of a file by name.

    Raises:
        CheckpointError: The file is damaged, or holds anything but tensors by name.
    """
    with path.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
    return _read_zip(path) if is_zip else _read_legacy(path)


def _read_zip(path: Path) -> dict[str, LazyTensor]:
    file = MappedFile(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            if len(entries) != len(archive.infolist()) or any(
                entry.file_size > file.size for entry in entries.values()
            ):
                raise CheckpointError(f"{path} has an entry twice, or one larger than the file; get it again")
            pickles = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(pickles) != 1 or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
                raise CheckpointError(f"{path} is a zip file, but not one that torch.save wrote")
            root = pickles[0].removesuffix("data.pkl")
            if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
                raise CheckpointError(f"{path} was not written on a little-endian machine; save it again on one")
            content = unpickle(io.BytesIO(archive.read(pickles[0])), path)
    except CheckpointError:
        raise
    except _FAULTS as error:
        raise CheckpointError(f"{path} is not a whole PyTorch file ({error}); get it again") from error

    def span(storage: StorageRef) -> tuple[int, int]:
        entry = entries.get(f"{root}data/{storage.key}")
        if entry is None:
            raise CheckpointError(f"{path} has no storage {storage.key!r}; get it again")
        name_length, extra_length = struct.unpack("<HH", file.bytes(entry.header_offset + 26, 4))
        return entry.header_offset + 30 + name_length + extra_length, entry.file_size

    refs = _refs(content, path).values()
    spans = {ref.storage.key: span(ref.storage) for ref in refs if isinstance(ref, TensorRef)}
    return _tensors(file, content, spans)


def _read_legacy(path: Path) -> dict[str, LazyTensor]:
    """Read the form before PyTorch 1.6: magic number, version, system, description, storage keys, storages."""
    mapped = MappedFile(path)
    if not mapped.size:
        raise CheckpointError(f"{path} is empty; get it again")
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as file:
        if unpickle(file, path) != _LEGACY_MAGIC or unpickle(file, path) != _LEGACY_PROTOCOL:
            raise CheckpointError(f"{path} is not a PyTorch checkpoint; expected a file saved by torch.save")
        system = unpickle(file, path)
        content = unpickle(file, path)
        keys = unpickle(file, path)
        offset = file.tell()
    _refs(content, path)  # which refuses what holds no state_dict
    itemsizes = {storage.key: _dtype(storage, path).itemsize for storage in _storages(content)}
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError(f"{path} was not written on a little-endian machine; save it again on one")
    spans = {}
    for key in keys if isinstance(keys, list) else []:
        if type(key) is not str:
            raise CheckpointError(f"{path} is not a whole PyTorch file; get it again")
        (count,) = struct.unpack("<q", mapped.bytes(offset, 8))
        if key not in itemsizes or count < 0:
            raise CheckpointError(f"{path} has a storage {key!r} that its description does not; get it again")
        spans[str(key)] = (offset + 8, count * itemsizes[key])
        offset += 8 + count * itemsizes[key]
    return _tensors(mapped, content, spans)


def _refs(content: Any, path: Path) -> dict[str, TensorRef | ArrayRef]:
    """Return the description as tensors by name, or raise.

    A training checkpoint has the state_dict as one of its entries, as "state_dict" or "model", beside the optimizer's
    state and numbers: of entries that are tensors by name a single one is taken, and of several their names tell.
    """
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; expected a state_dict, tensors by name")
    if _is_state_dict(content):
        return content
    inner = {
        key: value for key, value in content.items() if isinstance(value, dict) and value and _is_state_dict(value)
    }
    if not inner or any(isinstance(value, (TensorRef, ArrayRef)) for value in content.values()):
        odd = next(key for key, value in content.items() if not _is_state_dict({key: value}))
        raise CheckpointError(
            f"{path} holds {type(content[odd]).__name__} under {odd!r}; expected a state_dict, tensors by name: "
            "save the model's state_dict() alone and use that file"
        )
    if len(inner) == 1:
        return next(iter(inner.values()))
    return {f"{key}.{name}": ref for key, state_dict in inner.items() for name, ref in state_dict.items()}


def _is_state_dict(content: dict[Any, Any]) -> bool:
    """Whether a dict is tensors by name."""
    return all(isinstance(name, str) and isinstance(ref, (TensorRef, ArrayRef)) for name, ref in content.items())


def _storages(content: Any) -> Iterator[StorageRef]:
    """Yield the storages of all tensors, also of those beside the state_dict; a list may hold itself."""
    seen, level = set(), [content]
    while level:
        item = level.pop()
        if isinstance(item, TensorRef):
            yield item.storage
        elif isinstance(item, (dict, list, tuple)) and id(item) not in seen:
            seen.add(id(item))
            level.extend(item.values() if isinstance(item, dict) else item)


def _dtype(storage: StorageRef, path: Path) -> np.dtype[Any]:
    if storage.kind not in STORAGES:
        raise CheckpointError(f"{path} has a {storage.kind}; expected one of {', '.join(STORAGES)}")
    return KNOWN_DTYPES[STORAGES[storage.kind]]


def _tensors(file: MappedFile, content: Any, spans: Mapping[str, tuple[int, int]]) -> dict[str, LazyTensor]:
    """Describe every tensor, given offset and bytes of each storage."""
    tensors = {}
    for name, ref in _refs(content, file.path).items():
        if isinstance(ref, ArrayRef):
            tensors[name] = ref.tensor(name)
            continue
        dtype = _dtype(ref.storage, file.path)
        start, nbytes = spans.get(ref.storage.key, (0, -1))
        last = ref.offset + sum((size - 1) * stride for size, stride in zip(ref.shape, ref.strides, strict=False))
        sane = len(ref.shape) == len(ref.strides) and min(ref.offset, *ref.shape, *ref.strides, 0) >= 0
        if not sane or nbytes < 0 or ((last + 1) * dtype.itemsize > nbytes and 0 not in ref.shape):
            raise CheckpointError(f"{file.path}: {name!r} reaches beyond its storage; get the file again")
        tensors[name] = _view(file, ref, dtype, start + ref.offset * dtype.itemsize, last + 1 - ref.offset)
    return tensors


def _view(file: MappedFile, ref: TensorRef, dtype: np.dtype[Any], offset: int, span: int) -> LazyTensor:
    """Describe one tensor: a plain part of the file, or a strided view of one."""
    contiguous = contiguous_strides(ref.shape)
    # An axis of one number is never stepped along: its stride may be anything.
    strides = tuple(
        stride if size > 1 else usual for size, stride, usual in zip(ref.shape, ref.strides, contiguous, strict=True)
    )
    if 0 in ref.shape or strides == contiguous:
        return file.tensor(offset, ref.shape, dtype)
    flat = file.tensor(offset, (span,), dtype)

    def load() -> Array:
        steps = [stride * dtype.itemsize for stride in strides]
        view: Array = np.lib.stride_tricks.as_strided(flat.load(), ref.shape, steps, writeable=False)
        return view

    return LazyTensor(ref.shape, flat.dtype, load)


def write(path: Path, tensors: Mapping[str, LazyTensor], dialect: Dialect, head: str | None) -> None:
    """Write tensors to a file; one that is there under two names is stored once.

    Args:
        path: The file.
        tensors: By name.
        dialect: Its file name becomes the name inside the archive.
        head: Not used.
    """
    root = dialect.filename.rpartition(".")[0]
    keys: dict[int, str] = {}
    for tensor in tensors.values():
        keys.setdefault(id(tensor), str(len(keys)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, f"{root}/data.pkl", pickled(tensors, keys))
        _put(archive, f"{root}/byteorder", b"little")
        written = set()
        for tensor in tensors.values():
            if id(tensor) not in written:
                written.add(id(tensor))
                _put(archive, f"{root}/data/{keys[id(tensor)]}", tensor)
        _put(archive, f"{root}/version", b"3\n")


def _put(archive: zipfile.ZipFile, name: str, content: bytes | LazyTensor) -> None:
    """Write one entry, its content aligned; the spare bytes are an extra field, as PyTorch has it."""
    entry = zipfile.ZipInfo(name, _DATE)
    entry.file_size = len(content) if isinstance(content, bytes) else content.nbytes
    assert archive.fp is not None
    padding = -(archive.fp.tell() + 30 + len(name) + 4) % _ALIGNMENT
    entry.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
    with archive.open(entry, "w") as file:
        if isinstance(content, bytes):
            file.write(content)
            return
        for chunk in content.chunks():
            file.write(bytes_of(chunk))
