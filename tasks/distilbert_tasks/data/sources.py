"""What a split is read from: files, folders, patterns, data sets in memory and on the hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import chain
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.hub import HubDataset
from distilbert_tasks.data.options import DataOptions
from distilbert_tasks.data.readers import (
    COMPRESSED,
    SUFFIXES,
    is_table,
    plain_name,
    read_dataset,
    read_file,
    read_table,
)
from distilbert_tasks.data.records import Records

__all__ = ["SPLITS", "Source", "open_sources", "training_parts"]

SPLITS = ("train", "validation", "test")

_NAMES = {"train": "train|training", "validation": "validation|valid|val|dev", "test": "test|testing|eval"}
"""What names of files have for each split, as `datasets` has it."""


@dataclass(frozen=True)
class Source:
    """What one split is read from.

    Attributes:
        parts: Files, data sets in memory, or one of the hub.
        is_implied: Whether it was not named but found beside the training set.
    """

    parts: tuple[Any, ...]
    is_implied: bool = False

    def records(self, task: str, options: DataOptions) -> Iterator[Records]:
        """Yield the records of all parts."""
        return chain.from_iterable(_read(part, task, options) for part in self.parts)


def open_sources(requested: Mapping[str, Any], options: DataOptions, notes: list[str]) -> dict[str, Source]:
    """Return what each split is read from.

    A folder or a hub data set that is named for training alone gives the other splits too, where it has them.

    Args:
        requested: What the user names for each split, those that are not None.
        options: How hub data sets are read.
        notes: Where sentences for the user are added.

    Raises:
        InputError: A file is not there, or none fits a pattern.
        HubError: A data set cannot be had from the hub.
    """
    sources = {}
    train_alone = set(requested) == {"train"}
    for split, source in requested.items():
        by_split = _by_split(source, options, notes)
        if by_split is None:
            sources[split] = Source(tuple(_parts(source)))
        elif train_alone and "train" in by_split:
            sources = {name: Source(parts, is_implied=name != "train") for name, parts in by_split.items()}
        elif split in by_split or len(by_split) == 1:
            sources[split] = Source(by_split.get(split) or next(iter(by_split.values())))
        else:
            raise InputError(f"{source} has the splits {', '.join(by_split)}, and not {split}; name another source")
    return sources


def training_parts(source: Any, options: DataOptions, notes: list[str]) -> list[Any]:
    """Return what texts to learn from are read from: the training split, or everything where there is none.

    Args:
        source: As `open_sources` takes it.
        options: How hub data sets are read.
        notes: Where sentences for the user are added.

    Raises:
        InputError: A file is not there, or none fits a pattern.
        HubError: A data set cannot be had from the hub.
    """
    own_notes: list[str] = []
    by_split = _by_split(source, options, own_notes)
    if by_split is None or "train" not in by_split:
        is_folder = isinstance(source, (str, Path)) and Path(source).is_dir()
        return (
            _parts(source) if by_split is None or is_folder else [part for some in by_split.values() for part in some]
        )
    if others := [split for split in by_split if split != "train"]:
        own_notes.append(f"Of {source}, {' and '.join(others)} is left out.")
    notes.extend(own_notes)
    return list(by_split["train"])


Splits = dict[str, tuple[Any, ...]]
"""The parts of each split."""


def _by_split(source: Any, options: DataOptions, notes: list[str]) -> Splits | None:
    """Return the splits of a folder, a hub data set or a `DatasetDict`; None for anything else."""
    if isinstance(source, Mapping) and source and all(hasattr(part, "features") for part in source.values()):
        return {split: (part,) for name, part in source.items() if (split := _split_of(name))}
    if not isinstance(source, (str, Path)) or not str(source).strip():
        return None
    path = Path(source)
    if path.is_dir():
        return _folder_splits(path, options, notes)
    hub = None if path.exists() or glob(str(source)) else HubDataset.parse(str(source))
    return None if hub is None else {split: (part,) for split, part in hub.splits(options.streaming).items()}


def _folder_splits(folder: Path, options: DataOptions, notes: list[str]) -> Splits | None:
    """Return the splits that names of files say, or of what `save_to_disk` wrote; None where no name says any."""
    if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
        import datasets

        saved = datasets.load_from_disk(str(folder))
        return _by_split(saved, options, notes) or {"train": (saved,)}
    files = _files_of(folder)
    named = {split: tuple(file for file in files if _split_of(file.name) == split) for split in SPLITS}
    others = [file.name for file in files if _split_of(file.name) is None]
    if others and len(others) < len(files):
        notes.append(f"Of {folder.name}, {', '.join(others)} is left out: the name says no split.")
    return {split: parts for split, parts in named.items() if parts} or None


def _split_of(name: str) -> str | None:
    """Return the split that a name says; None where it says none."""
    for split, words in _NAMES.items():
        if re.search(rf"(?<![a-z])({words})(?![a-z])", name.lower()):
            return split
    return None


def _parts(source: Any) -> list[Any]:
    """Return files and data sets in memory, one by one."""
    if is_table(source) or hasattr(source, "features") or isinstance(source, Mapping):
        return [source]
    if isinstance(source, (str, Path)):
        return _files(source)
    if isinstance(source, Sequence) and source:
        if all(isinstance(row, Mapping) for row in source):
            return [{name: [row.get(name) for row in source] for name in dict.fromkeys(chain(*source))}]
        return [file for one in source for file in _parts(one)]
    raise InputError(
        f"{source!r:.200} is no source of data; give a file, a folder, a pattern, a hub id, a datasets.Dataset or "
        "a data frame"
    )


def _files(source: str | Path) -> list[Any]:
    path = Path(source)
    if not str(source).strip():
        raise InputError("the name of a file is empty; give the file, a folder, a pattern or a hub id")
    if path.is_dir():
        return _files_of(path)
    if path.exists():
        return [path]
    if files := sorted(map(Path, glob(str(source), recursive=True))):
        return [file for file in files if file.is_file()]
    is_pattern = any(sign in str(source) for sign in "*?[")
    raise InputError(
        f"no file fits {source}"
        if is_pattern
        else f"there is no file {source}; a data set of the hub is named by its "
        'id, such as "org/name" or "org/name:config"'
    )


def _files_of(folder: Path) -> list[Any]:
    """Return the files of a folder whose format is known.

    Raises:
        InputError: There is none.
    """
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.startswith(".")]
    files = [file for file in files if Path(plain_name(file)).suffix.lower() in SUFFIXES]
    if not files:
        raise InputError(f"{folder} holds no file whose name ends in {', '.join([*SUFFIXES, *COMPRESSED])}")
    return files


def _read(part: Any, task: str, options: DataOptions) -> Iterator[Records]:
    if isinstance(part, Path):
        return read_file(part, task, options.file_format, options.column_names)
    if is_table(part):
        return read_table(part, "the data frame")
    name = str(getattr(part, "name", "") or "the data set")
    return read_dataset(getattr(part, "dataset", part), name)
