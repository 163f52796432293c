"""Finding and writing files: a local directory or a hub id in, a path out; writing is all or nothing."""

from __future__ import annotations

import codecs
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from distilbert_common.credentials import harmless, redacted
from distilbert_common.errors import (
    CheckpointNotFoundError,
    HubError,
    InputError,
    OutputExistsError,
    UnreadableFileError,
)

__all__ = [
    "HUB_OPTIONS",
    "NOT_REACHED",
    "check_fetched",
    "check_own_folder",
    "dangling_link",
    "failed_download",
    "is_half_written",
    "local_path",
    "read_json",
    "replacing",
    "resolve",
    "write_text",
]

HUB_OPTIONS = ("cache_dir", "revision", "token", "local_files_only", "subfolder", "force_download")
"""The keywords that every `from_pretrained` hands to `resolve`."""

NOT_REACHED = "they are not on the hub, or the network cannot be reached and its cache has only other files"
"""What is said of files of a hub id of which `resolve` finds none."""

_MAX_DEPTH = 64
_PAGE = "a page of HTML or XML, such as a server's error; download the file itself, by its direct link"
_FAILED_DOWNLOADS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"version https://git-lfs"), "only a pointer to a file kept by Git LFS; fetch it with: git lfs pull"),
    (re.compile(rb"<(!doctype|html|\?xml|error)", re.IGNORECASE), _PAGE),
    (
        re.compile(rb'\{\s*"error"\s*:\s*["{]'),
        "a server's error as JSON; download the file itself, with a token if it is private",
    ),
    (re.compile(rb"\x1f\x8b"), "compressed by gzip; unpack it with: gunzip"),
)
"""How what is saved in the place of a file begins, what it is, and what to do."""
_START = 64
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")  # which may be one of a pair


def local_path(path: str | Path) -> Path:
    """Return a path with the home directory in the place of "~"; that of a user who is not known stays as it is.

    Raises:
        InputError: The path is empty, as that of a variable that is not set, where Python takes this folder.
    """
    if path == "":
        raise InputError('the name of a file or a model is empty; give it, or "." for this folder')
    return Path(os.path.expanduser(path))


def resolve(
    name_or_path: str | Path,
    filename: str,
    *,
    required: bool = True,
    cache_dir: str | Path | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    subfolder: str | None = None,
    force_download: bool = False,
) -> Path | None:
    """Find one file of a checkpoint.

    Args:
        name_or_path: A directory, a file (returned as it is), or a hub id such as `distilbert-base-uncased`.
        filename: The file to find in it.
        required: Whether its absence is an error; otherwise None is returned.
        cache_dir: The hub cache to use instead of the default one.
        revision: Branch, tag or commit on the hub.
        token: Access token for private repositories.
        local_files_only: Look in the cache only, never on the network.
        subfolder: Folder inside the directory or repository.
        force_download: Fetch a file of the hub anew though it is in the cache.

    Returns:
        The path of the file, or None.

    Raises:
        CheckpointNotFoundError: The file is required and not there, it is a link to what is not there, or the name is
            neither a directory nor a hub id.
        HubError: The hub refuses or cannot be reached.
    """
    local = local_path(name_or_path)
    if local.is_file():
        return local
    if local.is_dir():
        path = local / (subfolder or "") / filename
        if path.is_file():
            return path
        if path.is_symlink():
            raise CheckpointNotFoundError(dangling_link(path))
        if required:
            raise CheckpointNotFoundError(
                f"{local} has no {filename}; expected the directory of a saved model or tokenizer"
            )
        return None
    options = {
        "cache_dir": cache_dir,
        "revision": revision,
        "token": token,
        "local_files_only": local_files_only,
        "force_download": force_download,
    }
    return _from_hub(str(name_or_path), filename, required, subfolder, options)


def dangling_link(path: Path) -> str:
    """Return what to do about a link that leads to no file."""
    return f"{path} is a link to {os.readlink(path)}, where no file is; put the file there, or remove the link"


def _from_hub(
    repo_id: str, filename: str, required: bool, subfolder: str | None, options: dict[str, Any]
) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError, LocalEntryNotFoundError

    shown = redacted(repr(repo_id))
    try:
        return Path(hf_hub_download(repo_id, filename, subfolder=subfolder, **options))
    except HFValidationError as error:
        raise CheckpointNotFoundError(
            f"{shown} is neither a directory nor a hub id; give a path that exists or an id like 'user/model'"
        ) from harmless(error)
    except LocalEntryNotFoundError as error:
        cached = _is_cached(repo_id, options)
        if not required and cached:
            return None
        advice = (
            "the cache has only other files of it: check the network"
            if cached
            else "check the path or id and the network"
        )
        raise CheckpointNotFoundError(
            f"{shown} is not a directory here, and {filename} of that hub id is not in the cache and cannot be "
            f"fetched; {advice}"
        ) from harmless(error, options["token"])
    except EntryNotFoundError as error:
        if not required:
            return None
        raise CheckpointNotFoundError(f"the hub repository {shown} has no {filename}") from harmless(error)
    except (OSError, ValueError) as error:  # no such repository, no access, no network, a token that is none
        reason = redacted(str(error), options["token"])
        raise HubError(f"cannot fetch {filename} of the hub repository {shown}: {reason}") from harmless(
            error, options["token"]
        )


def _is_cached(repo_id: str, options: dict[str, Any]) -> bool:
    """Whether any file of the repository is in the cache, so that a missing one can be taken as absent."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            repo_id, revision=options["revision"], cache_dir=options["cache_dir"], local_files_only=True
        )
    except LocalEntryNotFoundError:
        return False
    return any(path.is_file() for path in Path(folder).rglob("*"))


def check_fetched(path: Path) -> None:
    """Require that a text file is not what a failed download leaves in its place, as a pointer or a page.

    Raises:
        UnreadableFileError: It is one of these, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = failed_download(file.read(_START))
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror}") from error
    if content is not None:
        raise UnreadableFileError(f"{path} is {content}")


def failed_download(start: bytes) -> str | None:
    """Return what a file is that a failed download left, and what to do; None for all others.

    Args:
        start: Its first 64 bytes, or all where it is shorter.
    """
    start = start.removeprefix(codecs.BOM_UTF8).lstrip()
    return next((content for beginning, content in _FAILED_DOWNLOADS if beginning.match(start)), None)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UnreadableFileError: The file is not JSON text, not an object, nested without end, holds half a character, or
            is what a failed download leaves.
    """
    check_fetched(path)
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
        if _HALF_CHARACTER.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path} cannot be read as JSON: {error}; correct it, or get it again") from error
    if not isinstance(value, dict):
        raise UnreadableFileError(f"{path} holds a JSON {type(value).__name__}; expected an object")
    if _depth(value) > _MAX_DEPTH:
        raise UnreadableFileError(f"{path} is nested more than {_MAX_DEPTH} deep; expected the files of a saved model")
    return value


def _depth(value: Any) -> int:
    """Return how deep objects and lists are nested; no recursion, which is what too deep a nesting would break."""
    depth, level = 0, [value]
    while level:
        depth += 1
        children = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for items in children for child in items if isinstance(child, (dict, list))]
    return depth


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; on success it is synced and takes the place of `path`.

    After an error, or a kill at any moment, `path` is as it was before.

    Raises:
        OSError: The disk is full, or the place is not to be written; names `path`.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        error.filename = str(path)  # a name that the user knows
        raise
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_half_written(path: Path, *names: str) -> bool:
    """Whether a path is what a kill left of one of these files, which `replacing` was about to replace."""
    return path.is_file() and any(fnmatchcase(path.name, f".{name}.????????") for name in names)


def check_own_folder(record: Path, kind: str, advice: str = "give another folder") -> None:
    """Require a folder that holds a record, the first file to be written there, or nothing but what a kill left of it.

    Args:
        record: The file.
        kind: What it is the record of, in a few words.
        advice: What to do where the folder is somebody else's.

    Raises:
        OutputExistsError: The folder holds something else.
    """
    folder = record.parent
    if not record.exists() and not all(is_half_written(path, record.name) for path in folder.iterdir()):
        raise OutputExistsError(f"{folder} is not empty, and holds no {kind}; {advice}")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text to `path`, all or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
