"""Files that may be compressed, opened as if they were not."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from distilbert_common.errors import InputError

__all__ = ["AT_ONCE", "CHARS_AT_ONCE", "COMPRESSED", "chunks", "decoded_lines", "open_binary", "plain_name"]

AT_ONCE = 10_000
"""How many records are read at a time."""

CHARS_AT_ONCE = 2**24
"""About how many characters: fewer records are read where they are books."""


@contextmanager
def _open_zip(path: Path) -> Iterator[Any]:
    """Open the only file in an archive."""
    with zipfile.ZipFile(path) as archive:
        names = _archived(archive)
        if len(names) != 1:
            raise InputError(f"{path.name} holds {len(names)} files; unpack it, and give the files that are meant")
        if archive.getinfo(names[0]).flag_bits & 1:
            raise InputError(f"{path.name} is encrypted; unpack it, and give the file in it")
        with archive.open(names[0]) as file:
            yield file


def _archived(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the files in an archive but for what macOS adds."""
    return [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]


def _open_zstd(path: Path) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")


_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _open_zstd,
    ".zip": _open_zip,
}

COMPRESSED = tuple(_OPENERS)
"""The ends of names of compressed files."""


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read its bytes, uncompressed.

    Raises:
        InputError: It cannot be read, or is not compressed as its name says.
    """
    opener = _OPENERS.get(path.suffix.lower(), _open_plain)
    try:
        with opener(path) as file:
            yield file
    except (FileNotFoundError, IsADirectoryError) as error:
        problem = "is a folder" if path.is_dir() else "is not there"
        raise InputError(f"{path} {problem}; give a file") from error
    except (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read: {error}; check that it is whole, and what its name ends in"
        ) from error


def plain_name(path: Path) -> str:
    """Return the name of a file without the end that says how it is compressed, or that of the only one in a .zip."""
    if path.suffix.lower() == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = _archived(archive)
        return names[0] if len(names) == 1 else path.stem
    return path.stem if path.suffix.lower() in COMPRESSED else path.name


def decoded_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number of each line, from 1, and its text without the line break.

    Raises:
        InputError: A line is not UTF-8.
    """
    with open_binary(path) as file:
        for number, line in enumerate(_lines(file), 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{path.name}, line {number}: byte {error.object[error.start]:#04x} is not UTF-8; save the file as "
                    "UTF-8"
                ) from error
            yield number, text.rstrip("\r\n")


def chunks(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Yield numbered lines some at a time."""
    chunk, chars = list[tuple[int, str]](), 0
    for number, line in lines:
        chunk.append((number, line))
        chars += len(line)
        if len(chunk) == AT_ONCE or chars >= CHARS_AT_ONCE:
            yield chunk
            chunk, chars = [], 0
    if chunk:
        yield chunk


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines of any file object; those of pyarrow have no lines of their own."""
    tail = b""
    while block := file.read(1 << 20):
        *lines, tail = (tail + block).split(b"\n")
        yield from lines
    if tail:
        yield tail


def _open_plain(path: Path) -> Any:
    return path.open("rb")
