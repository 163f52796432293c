"""The names that a format which stores weights as a tree, or as folders, can hold side by side."""

from __future__ import annotations

from collections.abc import Iterable

from distilbert_common.errors import UnsupportedFormatError
from distilbert_conversion.weights.dialects import Dialect

__all__ = ["check_names"]

_MAX_NAME = 255  # bytes that the usual file systems allow


def check_names(names: Iterable[str], dialect: Dialect) -> None:
    """Check that a format can hold the names of weights.

    Raises:
        UnsupportedFormatError: A name is no path, or is at once a weight and the parent of another.
    """
    names = set(names)
    if dialect.container in ("safetensors", "torch"):
        return
    for name in sorted(names):
        if "\0" in name or not _is_path(name.split("/"), dialect.container == "orbax"):
            raise UnsupportedFormatError(
                f"{dialect.filename} cannot hold the name {name!r}; rename it or use safetensors"
            )
        parents = {name[:end] for end, char in enumerate(name) if char == "/"}
        if clash := sorted(names & parents):
            raise UnsupportedFormatError(
                f"{dialect.filename} cannot hold {clash[0]!r} beside {name!r}; rename one of them or use safetensors"
            )


def _is_path(parts: list[str], as_folder: bool) -> bool:
    """Whether the parts of a name can be those of a path; as the name of a folder it has to stay where it is put."""
    if not as_folder:
        return all(part not in ("", ".", "..") for part in parts)
    joined = ".".join(parts)
    is_visible = all(part and part[0] != "." for part in parts)
    return is_visible and "\\" not in joined and len(joined.encode()) <= _MAX_NAME
