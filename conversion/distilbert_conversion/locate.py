"""Finding the files of a checkpoint: in a directory, beside a file, or on the hub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from distilbert_common.errors import CheckpointError, CheckpointNotFoundError
from distilbert_common.files import NOT_REACHED, dangling_link, local_path, resolve
from distilbert_conversion.diagnosis import advice_on_folder
from distilbert_conversion.output.sharding import read_index
from distilbert_conversion.weights.dialects import CONTAINERS, DIALECTS, with_variant

_INDEX = re.compile(r"\.index(\.[^.]+)?\.json$")
_WHOLE = list(dict.fromkeys(dialect.filename for dialect in DIALECTS.values()))
CANDIDATES = [name for whole in _WHOLE for name in (whole, f"{whole}.index.json")]
"""The files that hold or list weights, in the order in which they are looked for."""


GOOGLE = "bert_model.ckpt.index"
"""The file of Google's BERT, looked for last; its config is `bert_config.json`."""


def source_of(name_or_path: str | Path, path: Path) -> str | Path:
    """Return where a checkpoint's other files are: beside a file that was named, else where it was found."""
    return path.parent if local_path(name_or_path).is_file() else name_or_path


def candidates(variant: str | None = None, use_safetensors: bool | None = None) -> list[str]:
    """Return the files that may hold or list the weights that are asked for, in the order of `CANDIDATES`."""
    chosen = [name for name in CANDIDATES if use_safetensors in (None, ".safetensors" in name)]
    return [*(with_variant(name, variant) for name in chosen), *([] if use_safetensors or variant else [GOOGLE])]


def find_weights(
    name_or_path: str | Path, hub: Mapping[str, Any], variant: str | None = None, use_safetensors: bool | None = None
) -> Path:
    """Return the weights file, or the index of shards.

    Raises:
        CheckpointNotFoundError: There is none.
    """
    folder = local_path(name_or_path) / (hub.get("subfolder") or "")
    names = candidates(variant, use_safetensors)
    dangling = [name for name in names if (folder / name).is_symlink() and not (folder / name).is_file()]
    for candidate in names:
        path = None if candidate in dangling else resolve(name_or_path, candidate, required=False, **hub)
        if path is not None:
            return path
    advice = advice_on_folder(folder, CANDIDATES, CONTAINERS) if folder.is_dir() else NOT_REACHED
    advice = dangling_link(folder / dangling[0]) if dangling else advice
    asked = "" if variant is None else f" of the variant {variant!r}"
    asked += "" if use_safetensors is None else f" that use_safetensors={use_safetensors} allows"
    raise CheckpointNotFoundError(
        f"{name_or_path} has no weights{asked}; expected {', '.join(_WHOLE)}, or an index of shards: {advice}"
    )


def find_shards(path: Path, name_or_path: str | Path, hub: Mapping[str, Any]) -> tuple[list[Path], dict[str, str]]:
    """Return the weights files, and for a divided checkpoint the file of each tensor."""
    if not _INDEX.search(path.name):
        return [path], {}
    index = read_index(path)
    source = source_of(name_or_path, path)
    found = {name: resolve(source, name, required=False, **hub) for name in dict.fromkeys(index.values())}
    absent = sorted(name for name, file in found.items() if file is None)
    if absent:
        raise CheckpointNotFoundError(f"{path} names files that are not there: {', '.join(absent)}; fetch them too")
    return [file for file in found.values() if file is not None], index


def check_links(paths: Iterable[Path]) -> None:
    """Check that files whose text is copied are what they seem: a folder that was fetched may link to any secret.

    Weights may be links to anywhere, since only numbers come out of them.

    Raises:
        CheckpointError: A file is a link that leads out of its folder, and not into the hub's cache around it.
    """
    for path in paths:
        folder = path.parent.resolve()
        caches = [parent.parent / "blobs" for parent in folder.parents if parent.name == "snapshots"]
        if not any(path.resolve().is_relative_to(place) for place in (folder, *caches)):
            raise CheckpointError(
                f"{path} is a link to {path.resolve()}, out of its folder, and is not followed; "
                "copy that file to its place if it belongs there"
            )
