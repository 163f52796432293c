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
from distilbert_tasks.data.readers import COMPRESSED, SUFFIXES, plain_name, read_dataset, read_file
from distilbert_tasks.data.records import Records

__all__ = ["SPLITS", "Source", "open_sources"]

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


def open_sources(given: Mapping[str, Any], options: DataOptions, notes: list[str]) -> dict[str, Source]:
    """Return what each split is read from.

    A folder or a hub data set that is given for training alone gives the other splits too, where it has them.

    Args:
        given: What the user names for each split, those that are not None.
        options: How hub data sets are read.
        notes: Where sentences for the user are added.

    Raises:
        InputError: A file is not there, or none fits a pattern.
        HubError: A data set cannot be had from the hub.
    """
    sources = {}
    for split, source in given.items():
        by_split = _by_split(source, options, notes)
        if by_split is None:
            sources[split] = Source(tuple(_parts(source)))
        elif set(given) == {"train"}:
            sources = {name: Source((part,) if not isinstance(part, list) else tuple(part), name != "train")
                       for name, part in by_split.items()}  # fmt: skip
        else:
            part = by_split.get(split, next(iter(by_split.values())) if len(by_split) == 1 else None)
            if part is None:
                raise InputError(f"{source} has the splits {', '.join(by_split)}, and not {split}; name another source")
            sources[split] = Source(tuple(part) if isinstance(part, list) else (part,))
    if set(given) == {"train"} and "train" not in sources:
        raise InputError(f"{given['train']} has the splits {', '.join(sources)}, and not train; name the file itself")
    return sources


def _by_split(source: Any, options: DataOptions, notes: list[str]) -> dict[str, Any] | None:
    """Return the splits of a folder, a hub data set or a `DatasetDict`; None for anything else."""
    if isinstance(source, Mapping) and source and all(hasattr(part, "features") for part in source.values()):
        return {split: part for name, part in source.items() if (split := _split_of(name))}
    if not isinstance(source, (str, Path)) or not str(source).strip():
        return None
    path = Path(source)
    if path.is_dir():
        if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
            return _by_split(_saved(path), options, notes) or {"train": _saved(path)}
        files = _files_of(path)
        named = {split: [file for file in files if _split_of(file.name) == split] for split in SPLITS}
        others = [file.name for file in files if _split_of(file.name) is None]
        if others and len(others) < len(files):
            notes.append(f"Of {path.name}, {', '.join(others)} is left out: the name says no split.")
        return {split: some for split, some in named.items() if some} or None
    hub = None if path.exists() or glob(str(source)) else HubDataset.parse(str(source))
    return None if hub is None else hub.splits(options.streaming)


def _split_of(name: str) -> str | None:
    """Return the split that a name says; None where it says none."""
    for split, words in _NAMES.items():
        if re.search(rf"(?<![a-z])({words})(?![a-z])", name.lower()):
            return split
    return None


def _parts(source: Any) -> list[Any]:
    """Return files and data sets in memory, one by one."""
    if hasattr(source, "features") or isinstance(source, Mapping):
        return [source]
    if isinstance(source, (str, Path)):
        return _files(source)
    if isinstance(source, Sequence) and source:
        if all(isinstance(row, Mapping) for row in source):
            return [{name: [row.get(name) for row in source] for name in dict.fromkeys(chain(*source))}]
        return [file for one in source for file in _parts(one)]
    raise InputError(
        f"{source!r} is no source of data; give a file, a folder, a pattern, a hub id or a datasets.Dataset"
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


def _saved(path: Path) -> Any:
    """Return what `save_to_disk` wrote."""
    import datasets

    return datasets.load_from_disk(str(path))


def _read(part: Any, task: str, options: DataOptions) -> Iterator[Records]:
    if isinstance(part, Path):
        return read_file(part, task, options.file_format, options.column_names)
    name = str(getattr(part, "name", "") or "the data set")
    return read_dataset(getattr(part, "dataset", part), name)
