"""The weights files of a checkpoint: written beside their places, synced, and renamed together, the index last."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from distilbert_common.files import replacing
from distilbert_conversion import formats
from distilbert_conversion.formats.shard_index import index_fields
from distilbert_conversion.weights.dialects import Dialect
from distilbert_conversion.weights.lazy import LazyTensor

__all__ = ["write_one_file_each", "write_shards"]

Tensors = Mapping[str, LazyTensor]


def write_one_file_each(
    directory: Path, contents: Mapping[str, Tensors], dialect: Dialect, head: str | None
) -> list[Path]:
    """Write files that each hold a part of a model by itself, as most dialects have one and a KerasHub preset two.

    Args:
        directory: Where to write.
        contents: The tensors of each file, by its name.
        dialect: How to write.
        head: A key of `HEADS`; None for a model with a head of its own.
    """
    with ExitStack() as renames:  # in the reverse order of entry
        for filename, tensors in contents.items():
            temporary = renames.enter_context(replacing(directory / filename))
            formats.write(temporary, tensors, dialect, head or "Model")
    return [directory / filename for filename in contents]


def write_shards(
    directory: Path, shards: Sequence[Tensors], dialect: Dialect, variant: str | None, file_tensors: Tensors
) -> list[Path]:
    """Write a sharded checkpoint, and last of all its index.

    Args:
        directory: Where to write.
        shards: The tensors of each file.
        dialect: How to write.
        variant: Goes into the file names.
        file_tensors: All tensors, without a tied one's second name; the index has their size.
    """
    filenames = [dialect.shard(number, len(shards), variant) for number in range(1, len(shards) + 1)]
    files = [directory / filename for filename in filenames]
    index = directory / dialect.index(variant)
    weight_map = {name: filename for filename, tensors in zip(filenames, shards, strict=True) for name in tensors}
    with ExitStack() as renames:  # in the reverse order of entry
        temporary_index = renames.enter_context(replacing(index))
        for file, tensors in zip(files, shards, strict=True):
            formats.write(renames.enter_context(replacing(file)), tensors, dialect, None)
        temporary_index.write_text(_index_text(weight_map, file_tensors, dialect), encoding="utf-8")
        if any(file.exists() for file in files):  # a kill between the renames must not leave old and new mixed
            index.unlink(missing_ok=True)
    return [*files, index]


def _index_text(weight_map: Mapping[str, str], file_tensors: Tensors, dialect: Dialect) -> str:
    parameters = sum(tensor.size for tensor in file_tensors.values()) if dialect.framework == "pt" else None
    fields = index_fields(weight_map, sum(tensor.nbytes for tensor in file_tensors.values()), parameters)
    return json.dumps(fields, indent=2, sort_keys=True) + "\n"
