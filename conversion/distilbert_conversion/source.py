"""Where a checkpoint is: its weights file, and the way to the other files of the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distilbert_common.errors import CheckpointNotFoundError
from distilbert_common.files import NOT_REACHED, dangling_link, local_path, resolve
from distilbert_conversion.diagnosis import advice_on_folder
from distilbert_conversion.formats.shard_index import read_index
from distilbert_conversion.weights.dialects import CONTAINERS, DIALECTS, with_variant

__all__ = ["WEIGHTS_FILENAMES", "Source"]

_INDEX = re.compile(r"\.index(\.[^.]+)?\.json$")
_UNSHARDED = list(dict.fromkeys(dialect.filename for dialect in DIALECTS.values()))
_GOOGLE = "bert_model.ckpt.index"
"""The file of Google's BERT, looked for last; its config is `bert_config.json`."""

WEIGHTS_FILENAMES = [name for filename in _UNSHARDED for name in (filename, f"{filename}.index.json")]
"""The files that hold or list weights, in the order in which they are looked for."""


@dataclass(frozen=True)
class Source:
    """A checkpoint's weights file, and where the other files of the model are.

    Attributes:
        path: The weights file, or the index of a sharded checkpoint.
        location: The directory or hub id that has the siblings; None for tensors in memory, which have none.
        hub: Keywords of `distilbert_common.files.resolve`, as `revision`.
        rivals: Other weights files in the directory that was asked for; `path` was the first that was looked for.
    """

    path: Path
    location: str | Path | None = None
    hub: Mapping[str, Any] = field(default_factory=dict)
    rivals: tuple[Path, ...] = ()

    @classmethod
    def find(
        cls,
        name_or_path: str | Path | Source,
        *,
        variant: str | None = None,
        use_safetensors: bool | None = None,
        **hub: Any,
    ) -> Source:
        """Find the weights of a checkpoint.

        Args:
            name_or_path: A directory, a weights file, an index of shards, or a hub id; a source is returned as it is.
            variant: Which of several sets of weights: "fp16" for `model.fp16.safetensors`.
            use_safetensors: True to look for safetensors only, False for all other formats only.
            hub: Keywords of `distilbert_common.files.resolve`.

        Raises:
            CheckpointNotFoundError: There are none.
        """
        if isinstance(name_or_path, Source):
            return name_or_path
        local = local_path(name_or_path)
        if not local.exists() and (index := Path(f"{local}.index")).is_file():
            name_or_path = local = index  # as TensorFlow names a checkpoint, by what its files have in common
        folder = local / (hub.get("subfolder") or "")
        filenames = _filenames(variant, use_safetensors)
        dangling = [name for name in filenames if (folder / name).is_symlink() and not (folder / name).is_file()]
        path = _first_file(name_or_path, [name for name in filenames if name not in dangling], hub)
        if path is None:
            advice = advice_on_folder(folder, WEIGHTS_FILENAMES, CONTAINERS) if folder.is_dir() else NOT_REACHED
            advice = dangling_link(folder / dangling[0]) if dangling else advice
            requested = _requested(variant, use_safetensors)
            raise CheckpointNotFoundError(
                f"{name_or_path} has no weights{requested}; expected {', '.join(_UNSHARDED)}, or an index of shards: "
                f"{advice}"
            )
        files = [path.parent / name for name in filenames] if local.is_dir() else []
        rivals = tuple(file for file in files if file != path and file.is_file())
        return cls(path, path.parent if local.is_file() else name_or_path, hub, rivals)

    def sibling(self, filename: str) -> Path | None:
        """Return another file of the checkpoint, as "config.json"; None where there is none."""
        return None if self.location is None else resolve(self.location, filename, required=False, **self.hub)

    def shards(self) -> tuple[list[Path], dict[str, str]]:
        """Return the weights files, and for a sharded checkpoint the name of the file of each tensor.

        Raises:
            CheckpointNotFoundError: A file that the index names is not there.
        """
        if not _INDEX.search(self.path.name):
            return [self.path], {}
        index = read_index(self.path)
        files = {name: self.sibling(name) for name in dict.fromkeys(index.values())}
        absent = sorted(name for name, file in files.items() if file is None)
        if absent:
            raise CheckpointNotFoundError(
                f"{self.path} names files that are not there: {', '.join(absent)}; fetch them too"
            )
        return [file for file in files.values() if file is not None], index

    def rival(self, path: Path) -> Source:
        """Return one of the rivals as a source of its own."""
        return Source(path, path.parent, {**self.hub, "subfolder": None})


def _filenames(variant: str | None, use_safetensors: bool | None) -> list[str]:
    """Return the files that may hold or list the weights that are asked for, in the order of `WEIGHTS_FILENAMES`."""
    filenames = [name for name in WEIGHTS_FILENAMES if use_safetensors in (None, ".safetensors" in name)]
    google = [] if use_safetensors or variant else [_GOOGLE]
    return [*(with_variant(name, variant) for name in filenames), *google]


def _first_file(name_or_path: str | Path, filenames: list[str], hub: Mapping[str, Any]) -> Path | None:
    """Return the first of several files that is there."""
    for filename in filenames:
        path = resolve(name_or_path, filename, required=False, **hub)
        if path is not None:
            return path
    return None


def _requested(variant: str | None, use_safetensors: bool | None) -> str:
    """Return in words which weights were asked for."""
    requested = "" if variant is None else f" of the variant {variant!r}"
    return requested + ("" if use_safetensors is None else f" that use_safetensors={use_safetensors} allows")
