"""Checkpoints divided into several files: reading and writing the index, dividing by size."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from distilbert_common.errors import CheckpointError
from distilbert_common.files import read_json

_MAX_NAME = 255  # bytes that the usual file systems allow
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def read_index(path: Path) -> dict[str, str]:
    """Return the file of each tensor by the tensor's name.

    Raises:
        CheckpointError: The index is damaged, or names something else than a file beside it.
    """
    weight_map = read_json(path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{path} has no 'weight_map' that names a file for each weight; get it again")
    for name in weight_map.values():
        if not isinstance(name, str) or not _is_plain(name):
            raise CheckpointError(f"{path} names the file {name!r}; expected files in its own folder only")
    return weight_map


def _is_plain(name: str) -> bool:
    """Whether a name is that of a file in the same folder on every system."""
    alone = name not in ("", ".", "..") and PurePosixPath(name).name == name == PureWindowsPath(name).name
    return alone and name.isprintable() and len(name.encode()) <= _MAX_NAME


def index(weight_map: Mapping[str, str], total_size: int, total_parameters: int | None) -> dict[str, Any]:
    """Return the content of an index.

    Args:
        weight_map: The file of each tensor.
        total_size: All tensors' bytes.
        total_parameters: All tensors' values; transformers writes it for PyTorch only, else None.
    """
    parameters = {} if total_parameters is None else {"total_parameters": total_parameters}
    return {"metadata": {**parameters, "total_size": total_size}, "weight_map": dict(weight_map)}


def parse_size(size: int | str) -> int:
    """Return a size in bytes.

    Args:
        size: Bytes, or text such as "2GB" (10^9 bytes each) or "500MiB" (2^20 bytes each).

    Raises:
        CheckpointError: It is neither, or not above zero.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMG]?I?B)?\s*", str(size).upper())
    nbytes = int(float(match[1]) * _UNITS[match[2] or ""]) if match and (match[2] or "") in _UNITS else 0
    if nbytes < 1:
        raise CheckpointError(f"the shard size is {size!r}; expected bytes, or a number with a unit such as '2GB'")
    return nbytes


def split(sizes: Mapping[str, int], limit: int | None) -> list[list[str]]:
    """Divide tensors into shards in their order, none above `limit` bytes unless a single tensor is.

    The rule is huggingface_hub's, so that PyTorch checkpoints divide as transformers divides them.

    Args:
        sizes: Bytes by name.
        limit: Bytes per shard, or None for one shard.
    """
    if limit is None:
        return [list(sizes)]
    shards: list[list[str]] = []
    current: list[str] = []
    filled = 0
    for name, size in sizes.items():
        if size > limit:
            shards.append([name])
            continue
        if filled + size > limit:
            shards.append(current)
            current, filled = [], 0
        current.append(name)
        filled += size
    return [*shards, current] if current else shards
