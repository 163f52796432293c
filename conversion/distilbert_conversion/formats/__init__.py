"""One module per container format, each with `read(path)` and `write(path, tensors, …)`, names as in the file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from distilbert_common.errors import CheckpointError, UnreadableFileError
from distilbert_conversion.formats.contents import wrong_content
from distilbert_conversion.formats.sizes import check_sizes
from distilbert_conversion.weights.dialects import Dialect
from distilbert_conversion.weights.lazy import LazyTensor

__all__ = ["read", "write"]


def read(path: Path, container: str) -> dict[str, LazyTensor]:
    """Return the tensors of a file by the names that it gives them.

    Args:
        path: The file.
        container: "safetensors", "torch", "hdf5", "msgpack" and so on; its module is imported only now.

    Raises:
        UnreadableFileError: The file is damaged or not of that format.
    """
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror}") from error
    try:
        tensors: dict[str, LazyTensor] = _module(container).read(path)
    except CheckpointError as error:
        other = wrong_content(path, container)
        raise UnreadableFileError(other or str(error)) from error.__cause__
    # Orbax' list of arrays and TensorFlow's index have them in files next to them.
    files = path.parent.rglob("*") if container in ("orbax", "tensor_bundle") else [path]
    check_sizes(path, tensors.values(), sum(file.stat().st_size for file in files if file.is_file()))
    return tensors


def write(path: Path, tensors: Mapping[str, LazyTensor], dialect: Dialect, head: str | None) -> None:
    """Write tensors to a file, one in memory at a time.

    Args:
        path: The file.
        tensors: By the names they get.
        dialect: How to write; its container's module is imported only now.
        head: The model, a key of `HEADS`; None for one shard of several.

    Raises:
        UnsupportedFormatError: The format cannot hold a tensor's type.
    """
    _module(dialect.container).write(path, tensors, dialect, head)


def _module(container: str) -> ModuleType:
    return importlib.import_module(f"distilbert_conversion.formats.{container}_file")
