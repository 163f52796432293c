"""The directory that a conversion writes: checked first, then there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from distilbert_common.errors import OutputExistsError
from distilbert_conversion.locate import CANDIDATES


def check_target(target: Path, source: Path, *, overwrite: bool) -> None:
    """Raise unless a directory may be written: it is free, or a saved model that may be replaced.

    Args:
        target: The directory to write.
        source: The file that is read from.
        overwrite: Whether a saved model may be replaced.

    Raises:
        OutputExistsError: The target holds the source, is a file, or is not empty and may not be replaced.
    """
    if source.parent.resolve().is_relative_to(target.resolve()):
        raise OutputExistsError(f"{target} holds the checkpoint to convert; give another place to write to")
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputExistsError(f"{target} is a file; give a directory to write to")
    entries = list(target.iterdir())
    if entries and not overwrite:
        raise OutputExistsError(f"{target} is not empty; give another place, or --overwrite to replace it as a whole")
    names = {entry.name for entry in entries}
    if entries and (names.isdisjoint({"config.json", *CANDIDATES}) or any(entry.is_dir() for entry in entries)):
        raise OutputExistsError(f"{target} holds more than a saved model, and is not replaced; give another place")


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """Give a directory beside `target` to fill; on success it takes the place of `target`, else it is removed."""
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    token = token_hex(4)
    temporary, old = (target.parent / f".{target.name}.{token}.{end}" for end in ("new", "old"))
    temporary.mkdir()
    try:
        yield temporary
        _sync(temporary)
        if target.exists():
            target.rename(old)
        temporary.rename(target)
        _sync(target.parent)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        for path in (temporary, old):
            shutil.rmtree(path, ignore_errors=True)


def _sync(directory: Path) -> None:
    """Make what was renamed in a directory last; some systems cannot open one."""
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
