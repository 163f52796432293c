"""The index of a sharded checkpoint: a JSON file that names the weights file of each tensor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from distilbert_common.errors import CheckpointError
from distilbert_common.files import read_json

__all__ = ["index_fields", "read_index"]

_MAX_NAME = 255  # bytes that the usual file systems allow


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


def index_fields(weight_map: Mapping[str, str], total_size: int, total_parameters: int | None) -> dict[str, Any]:
    """Return the content of an index.

    Args:
        weight_map: The file of each tensor.
        total_size: All tensors' bytes.
        total_parameters: All tensors' values; transformers writes it for PyTorch only, else None.
    """
    parameters = {} if total_parameters is None else {"total_parameters": total_parameters}
    return {"metadata": {**parameters, "total_size": total_size}, "weight_map": dict(weight_map)}
