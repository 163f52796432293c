"""Files that may be compressed, opened as if they were not."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["COMPRESSED", "open_binary", "plain_name"]


def _open_zstd(path: Path) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")


_OPENERS: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _open_zstd}

COMPRESSED = tuple(_OPENERS)
"""The ends of names of compressed files."""


def open_binary(path: Path) -> BinaryIO:
    """Open a file to read its bytes, uncompressed."""
    opener = _OPENERS.get(path.suffix.lower())
    opened: BinaryIO = path.open("rb") if opener is None else opener(path)
    return opened


def plain_name(path: Path) -> str:
    """Return the name of a file without the end that says how it is compressed."""
    return path.stem if path.suffix.lower() in COMPRESSED else path.name
