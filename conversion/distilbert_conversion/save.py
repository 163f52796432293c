"""Writing a checkpoint in any dialect, one tensor in memory at a time, each file whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointError, UnsupportedFormatError
from distilbert_common.files import replacing
from distilbert_conversion import formats
from distilbert_conversion.dialects import DIALECTS, Dialect
from distilbert_conversion.keras_hub import renamed_for_preset
from distilbert_conversion.lazy import DTYPES, Array, LazyTensor, lazy
from distilbert_conversion.sharding import index, parse_size, split
from distilbert_conversion.table import PREFIX, expected, is_transposed


def save_checkpoint(
    directory: str | Path,
    tensors: Mapping[str, Array | LazyTensor],
    config: DistilBertConfig,
    head: str,
    *,
    dialect: str = "pt-safetensors",
    max_shard_size: int | str | None = None,
    dtype: str | None = None,
    materialize_tied: bool = False,
) -> list[Path]:
    """Write a model's weights; the config is the caller's to write.

    Every file is written beside its place, synced and renamed, the index of shards last. Files of an earlier
    save in the same format that are no longer part of it are removed at the end.

    Args:
        directory: Made where it is missing.
        tensors: By bare canonical name, in PyTorch's layout; all that `expected` names.
        config: The model's sizes, and whether the projector is tied, in which case it is not needed.
        head: A key of `HEADS`.
        dialect: A key of `DIALECTS`.
        max_shard_size: Divide into files of at most this size, as 2_000_000_000 or "2GB"; None for one file.
        dtype: "float32", "float16", "bfloat16" or "float64" to convert to; None keeps each tensor's own.
        materialize_tied: Write a tied projector as a tensor of its own, for runtimes that do not tie; PyTorch only.

    Returns:
        The files written: weights, then the index.

    Raises:
        CheckpointError: Weights are missing or misshapen, or an argument is not one of those listed.
        UnsupportedFormatError: The format cannot hold the type or cannot be divided.
    """
    if dialect not in DIALECTS:
        raise CheckpointError(f"the dialect is {dialect!r}; expected one of {', '.join(DIALECTS)}")
    kind = DIALECTS[dialect]
    limit = None if max_shard_size is None else parse_size(max_shard_size)
    if kind.head_filename and limit is not None:
        raise UnsupportedFormatError("a KerasHub preset cannot be divided; use format safetensors, or no shard size")
    chosen = _chosen(tensors, config, head, dtype)
    stored = {kind.full_name(bare, head): _layout(bare, tensor, kind) for bare, tensor in chosen.items()}
    if materialize_tied:
        stored = _materialized(stored, kind, config, head)
    if kind.head_filename:
        stored, shards = renamed_for_preset(stored, config, head)
    else:
        shards = split({name: tensor.nbytes for name, tensor in stored.items()}, limit)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    written = _write(directory, stored, shards, kind, config, head)
    _remove_stale(directory, kind, written)
    return written


def _chosen(
    tensors: Mapping[str, Array | LazyTensor], config: DistilBertConfig, head: str, dtype: str | None
) -> dict[str, LazyTensor]:
    """Return what the model stores, in the model's order and the type asked for."""
    if dtype is not None and dtype not in DTYPES:
        raise CheckpointError(f"the dtype is {dtype!r}; expected one of {', '.join(DTYPES)}")
    wanted = expected(config, head)
    faults = [f"{name} is missing" for name in wanted if name not in tensors]
    chosen = {name: replace(lazy(tensors[name]), name=name) for name in wanted if name in tensors}
    for name, tensor in chosen.items():
        if tensor.shape != wanted[name]:
            faults.append(f"{name} is {tensor.shape}, expected {wanted[name]}")
        if tensor.dtype not in DTYPES.values():
            faults.append(f"{name} has the type {tensor.dtype}, expected one of {', '.join(DTYPES)}")
    if faults:
        raise CheckpointError(f"these weights are not a DistilBert{head} of this config: {'; '.join(sorted(faults))}")
    return chosen if dtype is None else {name: tensor.cast(DTYPES[dtype]) for name, tensor in chosen.items()}


def _layout(bare: str, tensor: LazyTensor, dialect: Dialect) -> LazyTensor:
    return tensor.transposed() if dialect.column != "canonical" and is_transposed(bare) else tensor


def _write(
    directory: Path,
    stored: Mapping[str, LazyTensor],
    shards: list[list[str]],
    dialect: Dialect,
    config: DistilBertConfig,
    head: str,
) -> list[Path]:
    """Write all files beside their places, then rename them, the index last."""
    divided = len(shards) > 1 and not dialect.head_filename
    numbered = [dialect.shard(number, len(shards)) for number in range(1, len(shards) + 1)]
    names = numbered if divided else [dialect.filename, dialect.head_filename][: len(shards)]
    files = [directory / name for name in names]
    weight_map: dict[str, str] = {}
    with ExitStack() as places:  # renames in the reverse order of entry
        index_place = places.enter_context(replacing(directory / dialect.index)) if divided else None
        for file, shard in zip(files, shards, strict=True):
            content = _with_tied({name: stored[name] for name in shard}, dialect, config, head)
            weight_map.update(dict.fromkeys(content, file.name))
            formats.write(
                places.enter_context(replacing(file)), content, dialect, head if index_place is None else None
            )
        if index_place is not None:
            index_place.write_text(_index_text(stored, weight_map, dialect), encoding="utf-8")
    return files if index_place is None else [*files, directory / dialect.index]


def _materialized(
    stored: dict[str, LazyTensor], dialect: Dialect, config: DistilBertConfig, head: str
) -> dict[str, LazyTensor]:
    """Add a tied projector as a tensor of its own; in PyTorch's own format it always has its name."""
    if dialect.framework != "pt" or head != "ForMaskedLM":
        raise UnsupportedFormatError(
            f"only PyTorch's masked-LM model can have a projector of its own, no {dialect.framework} DistilBert{head}; "
            "leave materialize-tied out"
        )
    if dialect.container == "torch" or not config.tie_word_embeddings:
        return stored
    return {**stored, "vocab_projector.weight": stored[f"{PREFIX}.embeddings.word_embeddings.weight"]}


def _with_tied(
    content: dict[str, LazyTensor], dialect: Dialect, config: DistilBertConfig, head: str
) -> dict[str, LazyTensor]:
    """Add a tied projector where transformers stores it: in PyTorch's own format, as the embeddings' second name."""
    embeddings = f"{PREFIX}.embeddings.word_embeddings.weight"
    tied = head == "ForMaskedLM" and config.tie_word_embeddings and dialect.container == "torch"
    return {**content, "vocab_projector.weight": content[embeddings]} if tied and embeddings in content else content


def _index_text(stored: Mapping[str, LazyTensor], weight_map: Mapping[str, str], dialect: Dialect) -> str:
    parameters = sum(tensor.size for tensor in stored.values()) if dialect.framework == "pt" else None
    content = index(weight_map, sum(tensor.nbytes for tensor in stored.values()), parameters)
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def _remove_stale(directory: Path, dialect: Dialect, written: list[Path]) -> None:
    """Remove an earlier save's files in the same format, which would be read in place of the new ones."""
    name = Path(dialect.filename)
    numbers = "-" + "[0-9]" * 5
    patterns = (
        dialect.filename,
        dialect.head_filename,
        dialect.index,
        f"{name.stem}{numbers}-of{numbers}{name.suffix}",
    )
    for pattern in filter(None, patterns):
        for path in directory.glob(pattern):
            if path not in written:
                path.unlink()
