"""Features on disk: written part by part, mapped into memory, and used again by the next run on the same examples."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_tasks.features.features import Features, Ragged
from distilbert_tasks.features.recipe import Columns, Recipe
from distilbert_tasks.masking import Masking

__all__ = ["cache_key", "read_features", "write_features"]

VERSION = 2
"""Raised when features are made in another way, so that old ones are not used."""

DESCRIPTION = "features.json"

_WITHOUT_EFFECT = ("cache_dir", "max_length", "examples_at_once")
"""Options that features do not depend on; the length that follows of `max_length` counts by itself."""


def cache_key(task: str, chunks: Iterable[Columns], recipe: Recipe) -> str:
    """Return a name for features that depends on all that they are made of.

    Args:
        task: The name of the task.
        chunks: The examples, some at a time.
        recipe: What they are made with.
    """
    tokenizer = recipe.tokenizer
    settings = {name: value for name, value in asdict(recipe.options).items() if name not in _WITHOUT_EFFECT}
    labels = sorted(recipe.config.id2label.items()) if recipe.options.label_all_pieces else None
    digest = blake2b(digest_size=16)
    for value in (
        VERSION, task, recipe.length, settings, labels, repr(tokenizer), sorted(tokenizer.get_vocab().items())
    ):  # fmt: skip
        digest.update(repr(value).encode())
    for columns in chunks:
        for name in sorted(columns):
            digest.update(repr((name, list(columns[name]))).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def write_features(parts: Iterable[tuple[int, Features]], folder: Path) -> None:
    """Write features to a folder, which is there whole or not at all.

    Args:
        parts: Features, each with the number of its first example.
        folder: Where to.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        first = None
        for start, part in parts:
            first = first or part
            for name, array in _arrays(part, start).items():
                with (temporary / f"{name}.bin").open("ab") as file:
                    array.tofile(file)
        if first is not None:
            sizes = {path.name: path.stat().st_size for path in temporary.iterdir()}
            text = json.dumps({**_description(first), "bytes": sizes})
            (temporary / DESCRIPTION).write_text(text, encoding="utf-8")
        if not folder.exists():
            os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_features(folder: Path) -> Features | None:
    """Return features whose arrays are mapped into memory; None where the folder does not hold any."""
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if {name: (folder / name).stat().st_size for name in description["bytes"]} != description["bytes"]:
            return None
    except (OSError, ValueError):
        return None
    arrays = {name: _mapped(folder / f"{name}.bin", *shape) for name, shape in description["arrays"].items()}
    masking = description["masking"]
    extras = {} if masking is None else {"masking": Masking.from_dict(masking)}
    return Features(
        _column(arrays, "input_ids"),
        {name: _column(arrays, f"labels.{name}") for name in description["labels"]},
        arrays["example"],
        description["choices"],
        {**{name: _column(arrays, f"details.{name}") for name in description["details"]}, **extras},
        description["task"],
    )


def _arrays(part: Features, start: int = 0) -> dict[str, NDArray[Any]]:
    """Return all arrays of features by name; of a ragged array its values and its sizes."""
    columns = {"input_ids": part.input_ids, "example": part.example + start}
    columns |= {f"labels.{name}": values for name, values in part.labels.items()}
    columns |= {f"details.{name}": values for name, values in part.details.items() if name != "masking"}
    arrays: dict[str, NDArray[Any]] = {}
    for name, values in columns.items():
        if isinstance(values, Ragged):
            arrays |= {f"{name}.values": values.values, f"{name}.sizes": values.sizes}
        else:
            arrays[name] = np.asarray(values)
    return arrays


def _description(first: Features) -> dict[str, Any]:
    masking = first.details.get("masking")
    return {
        "task": first.task,
        "choices": first.choices,
        "labels": list(first.labels),
        "details": [name for name in first.details if name != "masking"],
        "masking": None if masking is None else asdict(masking),
        "arrays": {name: [str(array.dtype), array.shape[1:]] for name, array in _arrays(first).items()},
    }


def _mapped(path: Path, dtype: str, shape: list[int]) -> NDArray[Any]:
    """Return a file as an array (rows, *shape)."""
    if not path.stat().st_size:  # nothing to map
        return np.zeros((0, *shape), dtype)
    return np.memmap(path, dtype, "r").reshape(-1, *shape)


def _column(arrays: Mapping[str, NDArray[Any]], name: str) -> Any:
    if name in arrays:
        return arrays[name]
    return Ragged.from_sizes(arrays[f"{name}.values"], arrays[f"{name}.sizes"])
