"""The weights files of earlier saves, removed once new ones are in place.

Whatever framework saved last, its weights are the folder's. Only names that weights files have are touched: an
optimizer's state, adapters, exports and everything else stay.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from distilbert_common.errors import DistilBertError
from distilbert_common.files import read_json
from distilbert_conversion.weights.dialects import DIALECTS

__all__ = ["remove_superseded"]

_SHARD = r"-[0-9]{5}-of-[0-9]{5}"
_ORBAX = DIALECTS["flax-orbax"].filename


def remove_superseded(directory: Path, written: Iterable[Path], variant: str | None) -> None:
    """Remove the weights files of earlier saves in any format.

    Args:
        directory: Where the model was saved.
        written: The files of this save.
        variant: The variant that it is; files of other variants stay.
    """
    written = set(written)
    for path in _weights_files(directory, variant):
        if path in written or not path.is_file():
            continue
        arrays = _orbax_arrays(path) if path.name == _ORBAX else []
        path.unlink()
        for folder in arrays:
            shutil.rmtree(folder, ignore_errors=True)


def _weights_files(directory: Path, variant: str | None) -> Iterator[Path]:
    """Yield the files of a directory that by their names are a model's weights, indexes first."""
    names = {name for dialect in DIALECTS.values() for name in (dialect.file(variant), dialect.head_filename) if name}
    indexes = {dialect.index(variant) for dialect in DIALECTS.values()}
    files = {Path(dialect.file(variant)) for dialect in DIALECTS.values()}
    shard = re.compile("|".join(f"{re.escape(file.stem)}{_SHARD}{re.escape(file.suffix)}" for file in files))
    entries = sorted(directory.iterdir())
    yield from (path for path in entries if path.name in indexes)
    yield from (path for path in entries if path.name in names or shard.fullmatch(path.name))


def _orbax_arrays(path: Path) -> list[Path]:
    """Return the folders of the arrays that Orbax' list names, where they lie beside it one by one."""
    try:
        tree = read_json(path)["tree_metadata"]
        names = [".".join(str(part["key"]) for part in entry["key_metadata"]) for entry in tree.values()]
    except (DistilBertError, KeyError, TypeError, AttributeError):
        return []  # not Orbax' list, or a packed checkpoint: nothing beside it is known to be a model's
    folders = [path.parent / name for name in names if Path(name).name == name]
    return [folder for folder in folders if (folder / ".zarray").is_file() and not folder.is_symlink()]
