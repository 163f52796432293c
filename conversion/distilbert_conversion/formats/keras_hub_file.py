"""The HDF5 files of a KerasHub preset: data sets by their paths as they stand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from distilbert_conversion.formats import hdf5_file
from distilbert_conversion.formats.hdf5_output import created
from distilbert_conversion.weights.dialects import Dialect
from distilbert_conversion.weights.lazy import LazyTensor

__all__ = ["read", "write"]


def read(path: Path) -> dict[str, LazyTensor]:
    """Return the tensors of a file by their paths.

    Raises:
        CheckpointError: The file is damaged, or links to other files.
    """
    return hdf5_file.read(path, lambda file, location: location)


def write(path: Path, tensors: Mapping[str, LazyTensor], dialect: Dialect, head: str | None) -> None:
    """Write tensors to a file.

    Args:
        path: The file.
        tensors: By the paths they get.
        dialect: Not used.
        head: Not used.
    """
    with created(path) as file:
        for name, tensor in tensors.items():
            hdf5_file.put(file, name, tensor)
