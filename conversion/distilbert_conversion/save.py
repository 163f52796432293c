"""Writing a checkpoint in any dialect, one tensor in memory at a time, each file whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointError, UnsupportedFormatError
from distilbert_common.files import replacing
from distilbert_conversion import formats
from distilbert_conversion.formats.shard_index import index_fields
from distilbert_conversion.output.sharding import parse_size, split
from distilbert_conversion.output.superseded import remove_superseded
from distilbert_conversion.translate.keras_hub import renamed_for_preset
from distilbert_conversion.weights.dialects import DIALECTS, Dialect
from distilbert_conversion.weights.lazy import DTYPES, KNOWN_DTYPES, Array, LazyTensor, cast_float, lazy
from distilbert_conversion.weights.table import PREFIX, TIED, is_backbone, is_known, is_transposed, owners
from distilbert_conversion.weights.table import expected as table_shapes

_MAX_NAME = 255  # bytes that the usual file systems allow


def save_checkpoint(
    directory: str | Path,
    tensors: Mapping[str, Array | LazyTensor],
    config: DistilBertConfig,
    head: str | None,
    *,
    dialect: str = "pt-safetensors",
    max_shard_size: int | str | None = None,
    dtype: str | None = None,
    materialize_tied: bool = False,
    expected: Mapping[str, tuple[int, ...]] | None = None,
    variant: str | None = None,
) -> list[Path]:
    """Write a model's weights; the config is the caller's to write.

    Every file is written beside its place, synced and renamed, the index of shards last. Weights files of an earlier
    save, in any format, that are no longer part of the model are removed at the end.

    Args:
        directory: Made where it is missing.
        tensors: Known weights by bare canonical name, in PyTorch's layout; a user's own, of any type, by their full
            names and in the layout of the model, both of which they keep in the file.
        config: The model's sizes, and whether the projector is tied, in which case it is not needed.
        head: A key of `HEADS`; None for a model with a head of its own, whose backbone gets the prefix.
        dialect: A key of `DIALECTS`.
        max_shard_size: Divide into files of at most this size, as 2_000_000_000 or "2GB"; None for one file.
        dtype: "float32", "float16", "bfloat16" or "float64" to convert to; None keeps each tensor's own.
        materialize_tied: Write a tied projector as a tensor of its own, for runtimes that do not tie; PyTorch only.
        expected: The model's own inventory, shape by name, all of which is written and nothing else; None for what
            the weight table says, with every weight of `tensors` that no model of this head has.
        variant: Goes into the file names, as "fp16" in `model.fp16.safetensors`.

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
    chosen = _chosen(tensors, inventory(tensors, config, head, expected), head, dtype)
    stored = {kind.full_name(bare, head): _layout(bare, tensor, kind) for bare, tensor in chosen.items()}
    _check_names(stored, kind)
    if materialize_tied:
        stored = _materialized(stored, kind, config, head)
    if kind.head_filename:
        extras = [name for name in chosen if not is_backbone(name) and head not in owners(name)]
        stored, shards = renamed_for_preset(stored, config, head, extras)
    else:
        shards = split({name: tensor.nbytes for name, tensor in stored.items()}, limit)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    written = _write(directory, stored, shards, kind, config, head, variant)
    remove_superseded(directory, written, variant)
    return written


def inventory(
    tensors: Mapping[str, Array | LazyTensor],
    config: DistilBertConfig,
    head: str | None,
    expected: Mapping[str, tuple[int, ...]] | None,
) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight to store by its name: what the model says, or else the weight table's.

    Without a word of the model, weights beyond the table's are a user's own and stored as they are; of a model with a
    head of its own, the whole head is.

    Raises:
        CheckpointError: There are weights of more layers than the config has.
    """
    tied = TIED if config.tie_word_embeddings else {}
    if expected is not None:
        return {name: shape for name, shape in expected.items() if name not in tied}
    table = table_shapes(config, head or "Model")
    own = {name: tensor.shape for name, tensor in tensors.items() if name not in {**table, **tied}}
    if surplus := sorted(filter(is_backbone, own)):
        raise CheckpointError(f"the config has no layer for {', '.join(surplus)}; set n_layers to what the model has")
    return {**table, **own}


def _chosen(
    tensors: Mapping[str, Array | LazyTensor],
    wanted: Mapping[str, tuple[int, ...]],
    head: str | None,
    dtype: str | None,
) -> dict[str, LazyTensor]:
    """Return what the model stores, in the model's order and the type asked for."""
    if dtype is not None and dtype not in DTYPES:
        raise CheckpointError(f"the dtype is {dtype!r}; expected one of {', '.join(DTYPES)}")
    faults = [f"{name} is missing" for name in wanted if name not in tensors]
    chosen = {name: replace(lazy(tensors[name]), name=name) for name in wanted if name in tensors}
    for name, tensor in chosen.items():
        if tensor.shape != wanted[name]:
            faults.append(f"{name} is {tensor.shape}, expected {wanted[name]}")
        types = DTYPES if is_known(name) else KNOWN_DTYPES
        if tensor.dtype not in types.values():
            faults.append(f"{name} has the type {tensor.dtype}, expected one of {', '.join(types)}")
    if faults:
        model = "what this model has" if head is None else f"a DistilBert{head} of this config"
        raise CheckpointError(f"these weights are not {model}: {'; '.join(sorted(faults))}")
    return {name: cast_float(tensor, dtype) for name, tensor in chosen.items()}


def _check_names(names: Iterable[str], dialect: Dialect) -> None:
    """Check that a format which stores weights as a tree can hold their names side by side."""
    names = set(names)
    if dialect.container in ("safetensors", "torch"):
        return
    for name in sorted(names):
        if "\0" in name or not _is_path(name.split("/"), dialect.container == "orbax"):
            raise UnsupportedFormatError(
                f"{dialect.filename} cannot hold the name {name!r}; rename it or use safetensors"
            )
        parents = {name[:end] for end, char in enumerate(name) if char == "/"}
        if clash := sorted(names & parents):
            raise UnsupportedFormatError(
                f"{dialect.filename} cannot hold {clash[0]!r} beside {name!r}; rename one of them or use safetensors"
            )


def _is_path(parts: list[str], as_folder: bool) -> bool:
    """Whether the parts of a name can be those of a path; as the name of a folder it has to stay where it is put."""
    if as_folder:
        joined = ".".join(parts)
        return (
            all(part and part[0] != "." for part in parts) and "\\" not in joined and len(joined.encode()) <= _MAX_NAME
        )
    return all(part not in ("", ".", "..") for part in parts)


def _layout(bare: str, tensor: LazyTensor, dialect: Dialect) -> LazyTensor:
    return tensor.transposed() if dialect.column != "canonical" and is_transposed(bare) else tensor


def _write(
    directory: Path,
    stored: Mapping[str, LazyTensor],
    shards: list[list[str]],
    dialect: Dialect,
    config: DistilBertConfig,
    head: str | None,
    variant: str | None,
) -> list[Path]:
    """Write all files beside their places, then rename them, the index last."""
    divided = len(shards) > 1 and not dialect.head_filename
    numbered = [dialect.shard(number, len(shards), variant) for number in range(1, len(shards) + 1)]
    names = numbered if divided else [dialect.file(variant), dialect.head_filename][: len(shards)]
    files = [directory / name for name in names]
    weight_map: dict[str, str] = {}
    with ExitStack() as places:  # renames in the reverse order of entry
        index_place = places.enter_context(replacing(directory / dialect.index(variant))) if divided else None
        for file, shard in zip(files, shards, strict=True):
            content = _with_tied({name: stored[name] for name in shard}, dialect, config, head)
            weight_map.update(dict.fromkeys(content, file.name))
            formats.write(
                places.enter_context(replacing(file)),
                content,
                dialect,
                (head or "Model") if index_place is None else None,
            )
        if index_place is not None:
            index_place.write_text(_index_text(stored, weight_map, dialect), encoding="utf-8")
            if any(file.exists() for file in files):  # a kill between the renames must not leave old and new mixed
                (directory / dialect.index(variant)).unlink(missing_ok=True)
    return files if index_place is None else [*files, directory / dialect.index(variant)]


def _materialized(
    stored: dict[str, LazyTensor], dialect: Dialect, config: DistilBertConfig, head: str | None
) -> dict[str, LazyTensor]:
    """Add a tied projector as a tensor of its own; in PyTorch's own format it always has its name."""
    if dialect.framework != "pt" or head != "ForMaskedLM":
        raise UnsupportedFormatError(
            "only PyTorch's masked-LM model can have a projector of its own, no "
            f"{dialect.framework} DistilBert{head or ''}; leave materialize-tied out"
        )
    if dialect.container == "torch" or not config.tie_word_embeddings:
        return stored
    return {**stored, "vocab_projector.weight": stored[f"{PREFIX}.embeddings.word_embeddings.weight"]}


def _with_tied(
    content: dict[str, LazyTensor], dialect: Dialect, config: DistilBertConfig, head: str | None
) -> dict[str, LazyTensor]:
    """Add a tied projector where transformers stores it: in PyTorch's own format, as the embeddings' second name."""
    embeddings = f"{PREFIX}.embeddings.word_embeddings.weight"
    tied = head == "ForMaskedLM" and config.tie_word_embeddings and dialect.container == "torch"
    return {**content, "vocab_projector.weight": content[embeddings]} if tied and embeddings in content else content


def _index_text(stored: Mapping[str, LazyTensor], weight_map: Mapping[str, str], dialect: Dialect) -> str:
    parameters = sum(tensor.size for tensor in stored.values()) if dialect.framework == "pt" else None
    content = index_fields(weight_map, sum(tensor.nbytes for tensor in stored.values()), parameters)
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
