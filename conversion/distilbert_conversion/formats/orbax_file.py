"""Orbax checkpoints of Flax parameters: a directory, whose `_METADATA` lists the arrays, each stored as Zarr.

Written is Orbax's plain layout, a folder for each array with its bytes in one uncompressed chunk, which Orbax opens
like its own and which is mapped when read. Orbax itself packs the arrays of a checkpoint into an OCDBT store, and
compresses them; those are read through tensorstore, which needs no JAX.
Sources: `orbax.checkpoint` 0.12 and https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import CheckpointError, MissingFrameworkError, UnsupportedFormatError
from distilbert_common.files import read_json
from distilbert_conversion.weights.dialects import Dialect
from distilbert_conversion.weights.lazy import KNOWN_DTYPES, Array, LazyTensor, bytes_of
from distilbert_conversion.weights.mapped import MappedFile

__all__ = ["read", "write"]

_MAX_NAME = 255  # bytes that the usual file systems allow
_SPARE = 2**20  # bytes; a small array's only chunk may be larger than itself
_KEY_OF_DICT = 2  # Orbax' number for a key of a dict
_CODES = {name: name if name == "bfloat16" else dtype.str for name, dtype in KNOWN_DTYPES.items()}


def read(path: Path) -> dict[str, LazyTensor]:
    """Return the arrays of a checkpoint by their path, joined by "/"; `value`, as NNX has it below each, is left out.

    Args:
        path: The `_METADATA` of the checkpoint.

    Raises:
        CheckpointError: The checkpoint is damaged, or holds something else than arrays by name.
        MissingFrameworkError: It is a packed or compressed one, and tensorstore is not installed.
    """
    facts = read_json(path)
    tree = facts.get("tree_metadata")
    if not isinstance(tree, dict):
        raise CheckpointError(f"{path} is not Orbax' list of arrays; it has no 'tree_metadata'")
    tensors: dict[str, LazyTensor] = {}
    for entry in tree.values():
        keys = _keys(entry, path)
        name = "/".join(keys[:-1] if keys[-1] == "value" else keys)
        if name in tensors:
            raise CheckpointError(f"{path} has {name!r} twice; get it again")
        tensors[name] = _mapped(path.parent / ".".join(keys), facts) or _unpacked(path, ".".join(keys), facts)
    return tensors


def _keys(entry: Any, path: Path) -> list[str]:
    """Return the path of an array in the tree; parts that could lead out of the directory are refused."""
    try:
        keys = [str(part["key"]) for part in entry["key_metadata"]]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} has an entry without the keys that lead to its array; get it again") from error
    odd = any(not key or key.startswith(".") or {"/", "\\", "\0"} & set(key) for key in keys)
    if not keys or odd or len(".".join(keys).encode()) > _MAX_NAME:
        raise CheckpointError(f"{path} has an array under {keys}; expected plain names")
    return keys


def _mapped(folder: Path, facts: Mapping[str, Any]) -> LazyTensor | None:
    """Describe an array that lies in one uncompressed file, or return None."""
    if facts.get("use_ocdbt", True) or facts.get("use_zarr3", False) or not (folder / ".zarray").is_file():
        return None
    fields = read_json(folder / ".zarray")
    shape = fields.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise CheckpointError(f"{folder} has the shape {shape}; get it again")
    is_one_chunk = shape == fields.get("chunks") and fields.get("order") == "C"
    names = [name for name, code in _CODES.items() if code == fields.get("dtype")]
    chunk = folder / _chunk_name(len(shape))
    if not is_one_chunk or fields.get("compressor") or fields.get("filters") or not names or not chunk.is_file():
        return None
    return MappedFile(chunk).tensor(0, tuple(shape), KNOWN_DTYPES[names[0]])


def _chunk_name(axes: int) -> str:
    """Return the name of the first, here the only, chunk of an array."""
    return ".".join(["0"] * axes) or "0"


def _unpacked(path: Path, name: str, facts: Mapping[str, Any]) -> LazyTensor:
    """Describe an array that tensorstore unpacks when it is read."""
    try:
        import tensorstore
    except ImportError as error:
        raise MissingFrameworkError("reading a packed Orbax checkpoint", "tensorstore", "flax") from error
    packed = {"driver": "ocdbt", "base": f"{path.parent.resolve().as_uri()}/", "path": f"{name}/"}
    plain = {"driver": "file", "path": f"{path.parent.resolve()}/{name}/"}
    spec: dict[str, Any] = {
        "driver": "zarr3" if facts.get("use_zarr3", False) else "zarr",
        "kvstore": packed if facts.get("use_ocdbt", True) else plain,
        # A chunk that is not there is damage, unless Orbax left those out that hold nothing but zeros.
        "fill_missing_data_reads": not facts.get("store_array_data_equal_to_fill_value", False),
    }
    try:
        array = tensorstore.open(spec, open=True, read=True).result()
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path}: {name!r} cannot be opened ({_short(error)}); get it again") from error
    dtype: np.dtype[Any] = np.dtype(array.dtype.numpy_dtype)
    shape, chunk = tuple(array.shape), array.chunk_layout.read_chunk.shape or ()
    if prod(size or 1 for size in chunk) * dtype.itemsize > prod(shape) * dtype.itemsize + _SPARE:
        raise CheckpointError(f"{path}: {name!r} is stored in chunks larger than itself; get it again")

    def load() -> Array:
        try:
            values: Array = np.asarray(array.read().result())
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{path}: {name!r} cannot be read ({_short(error)}); get it again") from error
        return values

    return LazyTensor(shape, dtype, load)


def _short(error: Exception) -> str:
    return str(error).partition(" [")[0]


def write(path: Path, tensors: Mapping[str, LazyTensor], dialect: Dialect, head: str | None) -> None:
    """Write arrays beside `path`, and the list of them there.

    Args:
        path: What becomes `_METADATA`.
        tensors: By their paths, joined by "/".
        dialect: Not used.
        head: None for one shard of several.

    Raises:
        UnsupportedFormatError: It is to be sharded.
    """
    if head is None:
        raise UnsupportedFormatError("an Orbax checkpoint cannot be sharded; use format msgpack, or no shard size")
    for name, tensor in tensors.items():
        _write_array(path.parent / name.replace("/", "."), tensor)
    tree = {str(tuple(name.split("/"))): _entry(name, tensor) for name, tensor in tensors.items()}
    facts = {
        "tree_metadata": tree,
        "use_ocdbt": False,
        "use_zarr3": False,
        "store_array_data_equal_to_fill_value": True,
    }
    path.write_text(json.dumps({**facts, "custom_metadata": None}), encoding="utf-8")


def _entry(name: str, tensor: LazyTensor) -> dict[str, Any]:
    return {
        "key_metadata": [{"key": key, "key_type": _KEY_OF_DICT} for key in name.split("/")],
        "value_metadata": {"value_type": "np.ndarray", "skip_deserialize": False, "write_shape": list(tensor.shape)},
    }


def _write_array(folder: Path, tensor: LazyTensor) -> None:
    """Write one array as Zarr: its description, and its bytes in one chunk."""
    folder.mkdir(exist_ok=True)
    fields = {
        "chunks": list(tensor.shape),
        "compressor": None,
        "dimension_separator": ".",
        "dtype": _CODES[tensor.dtype.name],
        "fill_value": None,
        "filters": None,
        "order": "C",
        "shape": list(tensor.shape),
        "zarr_format": 2,
    }
    with (folder / _chunk_name(len(tensor.shape))).open("wb") as file:
        for chunk in tensor.chunks():
            file.write(bytes_of(chunk))
        file.flush()
        os.fsync(file.fileno())
    (folder / ".zarray").write_text(json.dumps(fields), encoding="utf-8")
