"""What the answers of a teacher depend on, stored beside them, so that those of another run are not taken for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError
from distilbert_common.files import check_own_folder, read_json, write_text
from distilbert_tasks.batches import BatchOptions
from distilbert_tasks.changes import changes

__all__ = ["batch_facts", "begin"]

_FILENAME = "teacher_cache.json"
_NAMES = ("tokens_per_batch", "layout", "row_length", "seed")


def batch_facts(options: BatchOptions) -> dict[str, Any]:
    """Return the options of batches that the tokens of a step and their order depend on, by name."""
    size = {} if options.tokens_per_batch else {"batch_size": options.batch_size}
    return size | {name: getattr(options, name) for name in _NAMES}


def begin(folder: Path, now: Mapping[str, Any], overwrite: bool) -> None:
    """Require a folder that holds nothing, or answers that depend on the same things, and note in it what these are.

    Args:
        folder: The folder.
        now: What the answers depend on, by name.
        overwrite: Whether those that depend on other things are removed.

    Raises:
        InputError: There are such answers.
        OutputExistsError: The folder holds something else.
    """
    path = folder / _FILENAME
    others = [one for one in folder.iterdir() if one != path]
    is_new = not path.exists()
    check_own_folder(path, "answers of a teacher")
    before = {} if is_new else read_json(path)
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed and not is_new and not overwrite:
        first = changes(before, now, changed[:1])[0]
        raise InputError(
            f"what a teacher gave in {folder} is of something else: {', '.join(changed)}; {first}; give another "
            "folder, or remove this one to ask anew"
        )
    if changed:
        for one in others:
            one.unlink()
        write_text(path, json.dumps(dict(now), indent=2) + "\n")
