"""A new HDF5 file on a disk that may be full.

HDF5 keeps what it could not write, tries again while it closes, and may crash the process when it cannot. It is
therefore told that all was written; what the disk said is raised after it has closed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

__all__ = ["created"]


@contextmanager
def created(path: Path) -> Iterator[h5py.File]:
    """Give a new HDF5 file to fill.

    Raises:
        OSError: The disk did not take all of it.
    """
    with _Output(path) as output:
        with h5py.File(output, "w") as file:
            yield file
        if output.error is not None:
            raise output.error


class _Output(io.RawIOBase):
    """What h5py writes to: a file whose writing never fails, but remembers that it did."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: OSError | None = None
        self._file = path.open("w+b", buffering=0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def write(self, data: Any) -> int:
        """Write all bytes, until an error; from then on none."""
        unwritten = memoryview(data).cast("B")
        while unwritten and self.error is None:
            try:
                unwritten = unwritten[self._file.write(unwritten) :]
            except OSError as error:
                self.error = self._named(error)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Make the file as long as HDF5 says."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or self._named(error)
            return size or 0

    def readinto(self, buffer: Any) -> int:
        """Read bytes; what could not be written is zero."""
        view = memoryview(buffer).cast("B")
        count = self._file.readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        return len(view)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        return self._file.seek(offset, whence)

    def _named(self, error: OSError) -> OSError:
        """Return an error with the file's name in it."""
        return OSError(error.errno, error.strerror, str(self.path))
