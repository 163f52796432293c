"""The directory that a conversion writes: checked first, then there as a whole or not at all.

It is written beside its place under a hidden name, `.NAME.8 digits.new`, and renamed. One that is replaced is
`.NAME.8 digits.old` in between, and is brought back by the next conversion if this one was killed just then. Both are
locked while their process lives, so that a later one knows which are stale.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from distilbert_common.errors import DistilBertError, OutputExistsError
from distilbert_conversion.source import WEIGHTS_FILENAMES

if sys.platform != "win32":
    import fcntl

__all__ = ["atomic_directory", "check_target"]

_EXISTS_ERRORS = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
_GONE_WRONG = "was written by somebody else meanwhile; give another place, or convert again"


def check_target(target: Path, inputs: Iterable[Path], *, overwrite: bool, folders: Collection[str] = ()) -> None:
    """Raise unless a directory may be written: it is free, or a saved model that may be replaced.

    Args:
        target: The directory to write.
        inputs: The files that are read from.
        overwrite: Whether a saved model may be replaced.
        folders: The folders that a saved model may have.

    Raises:
        OutputExistsError: The target holds the source, is a file, or is not empty and may not be replaced.
    """
    final = target.resolve()
    if any(path.resolve().is_relative_to(final) for file in inputs for path in (file, file.parent)):
        raise OutputExistsError(f"{target} holds the checkpoint to convert; give another place to write to")
    above = next(folder for folder in final.parents if folder.exists())
    if not above.is_dir():
        raise OutputExistsError(f"{above} is a file, in which no directory can be; give another place than {target}")
    _remove_stale(final)
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputExistsError(f"{target} is a file; give a directory to write to")
    try:
        entries = list(target.iterdir())
    except FileNotFoundError:  # another process has moved it away since, and is about to put something there
        return
    if entries and not overwrite:
        raise OutputExistsError(f"{target} is not empty; give another place, or --overwrite to replace it as a whole")
    names = {entry.name for entry in entries}
    has_others = any(entry.is_dir() and entry.name not in folders for entry in entries)
    if entries and (names.isdisjoint({"config.json", *WEIGHTS_FILENAMES}) or has_others):
        raise OutputExistsError(f"{target} holds more than a saved model, and is not replaced; give another place")


@contextmanager
def atomic_directory(
    target: Path, inputs: Iterable[Path], *, overwrite: bool, folders: Collection[str] = ()
) -> Iterator[Path]:
    """Give a directory beside `target` to fill; on success it takes the place of `target`, else it is removed.

    Args:
        target: As `check_target` takes it, and likewise the others.
        inputs: They must not be in the target.
        overwrite: Whether it may hold a saved model.
        folders: Which folders that may have.

    Raises:
        OutputExistsError: Somebody else wrote there since it was checked.
        OSError: The disk is full, or the place is not to be written; names `target`.
    """
    inputs = list(inputs)
    final = target.resolve()
    with _naming(target, final), ExitStack() as locks:
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = _new_folder(final, locks)
        try:
            yield temporary
            _sync(temporary)
            check_target(target, inputs, overwrite=overwrite, folders=folders)
            _publish(temporary, final, locks, overwrite=overwrite)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _naming(target: Path, final: Path) -> Iterator[None]:
    """Give errors of the file system that are about a hidden folder, or about no file, a name that the user knows."""
    try:
        yield
    except OSError as error:
        hidden = error.filename is None or str(error.filename).startswith(str(final.with_name(f".{final.name}.")))
        if hidden and not isinstance(error, DistilBertError):  # some of which are an OSError too
            error.filename = str(target)
        raise


def _new_folder(final: Path, locks: ExitStack) -> Path:
    """Make a hidden folder beside `final`, and lock it; another process may remove it as stale before it is locked."""
    while True:
        folder = final.with_name(f".{final.name}.{token_hex(4)}.new")
        folder.mkdir()
        with suppress(FileNotFoundError):
            _lock(folder, locks, wait=True)
        if folder.exists():
            return folder


def _publish(temporary: Path, final: Path, locks: ExitStack, *, overwrite: bool) -> None:
    """Rename a finished folder; what is replaced is moved away first and removed last."""
    old = temporary.with_suffix(".old")
    try:
        if overwrite and final.exists():
            _lock(final, locks)
            final.rename(old)
        elif sys.platform == "win32" and final.exists():
            final.rmdir()  # empty; elsewhere a rename replaces it
        temporary.rename(final)
    except (FileNotFoundError, BlockingIOError) as error:
        raise OutputExistsError(f"{final} {_GONE_WRONG}") from error
    except OSError as error:
        if error.errno in _EXISTS_ERRORS:
            raise OutputExistsError(f"{final} {_GONE_WRONG}") from error
        raise
    finally:
        _restore_backup(old, final)
        shutil.rmtree(old, ignore_errors=True)
    _sync(final.parent)


def _restore_backup(old: Path, final: Path) -> None:
    """Undo a replacement of which only the first half took place."""
    with suppress(OSError):  # it is not there, or there is something in its place by now
        if not final.exists():
            old.rename(final)


def _remove_stale(final: Path) -> None:
    """Bring back or remove what conversions to the same place left when they were killed."""
    leftover = re.compile(rf"\.{re.escape(final.name)}\.[0-9a-f]{{8}}\.(new|old)")
    with suppress(OSError):
        for folder in final.parent.iterdir():
            if leftover.fullmatch(folder.name) and not folder.is_symlink():
                with ExitStack() as locks, suppress(OSError):
                    if not _lock(folder, locks):
                        continue
                    if folder.suffix == ".old":
                        _restore_backup(folder, final)
                    shutil.rmtree(folder, ignore_errors=True)


def _lock(directory: Path, locks: ExitStack, *, wait: bool = False) -> bool:
    """Lock a directory until `locks` is closed or the process ends; return whether the file system can do that.

    Raises:
        BlockingIOError: Another process holds it.
    """
    if sys.platform == "win32":
        return False  # leftovers stay, since nobody can tell whose they are
    descriptor = os.open(directory, os.O_RDONLY)
    locks.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _sync(directory: Path) -> None:
    """Make what was renamed in a directory last; some systems cannot open one."""
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
