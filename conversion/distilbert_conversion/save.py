"""Writing a checkpoint in any dialect, one tensor in memory at a time, each file whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointError, UnsupportedFormatError
from distilbert_common.quantization import SCALE_SUFFIX
from distilbert_conversion.formats.tree_names import check_names
from distilbert_conversion.inventory import Shape, inventory, tensor_inventory
from distilbert_conversion.output.sharding import parse_size, split
from distilbert_conversion.output.superseded import remove_superseded
from distilbert_conversion.output.weights_files import write_one_file_each, write_shards
from distilbert_conversion.translate.keras_hub import renamed_for_preset
from distilbert_conversion.weights.dialects import DIALECTS, Dialect
from distilbert_conversion.weights.lazy import DTYPES, KNOWN_DTYPES, Array, LazyTensor, cast_float, lazy
from distilbert_conversion.weights.table import PREFIX, is_backbone, is_known, is_transposed, owners

__all__ = ["save_checkpoint", "save_model"]

_EMBEDDINGS, _PROJECTOR = f"{PREFIX}.embeddings.word_embeddings.weight", "vocab_projector.weight"


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
        max_shard_size: Shard into files of at most this size, as 2_000_000_000 or "2GB"; None for one file.
        dtype: "float32", "float16", "bfloat16" or "float64" to convert to; None keeps each tensor's own.
        materialize_tied: Write a tied projector as a tensor of its own, for runtimes that do not tie; PyTorch only.
        expected: The model's own inventory, shape by name, all of which is written and nothing else; None for what
            the weight table says, with every weight of `tensors` that no model of this head has.
        variant: Goes into the file names, as "fp16" in `model.fp16.safetensors`.

    Returns:
        The files written: weights, then the index.

    Raises:
        CheckpointError: Weights are missing or misshapen, or an argument is not one of those listed.
        UnsupportedFormatError: The format cannot hold the type or cannot be sharded.
    """
    if dialect not in DIALECTS:
        raise CheckpointError(f"the dialect is {dialect!r}; expected one of {', '.join(DIALECTS)}")
    kind = DIALECTS[dialect]
    limit = None if max_shard_size is None else parse_size(max_shard_size)
    if kind.head_filename and limit is not None:
        raise UnsupportedFormatError("a KerasHub preset cannot be sharded; use format safetensors, or no shard size")
    shapes = tensor_inventory(tensors, config, head) if expected is None else inventory(config, head, expected)
    weights = _model_weights(tensors, shapes, head, dtype)
    file_tensors = {kind.full_name(bare, head): _in_layout(bare, tensor, kind) for bare, tensor in weights.items()}
    check_names(file_tensors, kind)
    if materialize_tied:
        file_tensors = _materialized(file_tensors, kind, config, head)
    if kind.head_filename:
        extras = [name for name in weights if not is_backbone(name) and head not in owners(name)]
        parts = renamed_for_preset(file_tensors, config, head, extras)
    else:
        names = split({name: tensor.nbytes for name, tensor in file_tensors.items()}, limit)
        parts = [_with_tied({name: file_tensors[name] for name in part}, kind, config, head) for part in names]
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    written = _write(directory, parts, file_tensors, kind, head, variant)
    remove_superseded(directory, written, variant)
    return written


def save_model(
    directory: str | Path,
    tensors: Mapping[str, Array],
    config: DistilBertConfig,
    head: str | None,
    dialect: str,
    max_shard_size: int | str | None,
    variant: str | None,
) -> list[Path]:
    """Write all weights of a model that is in memory, and its config; see `save_checkpoint`.

    Returns:
        The weights files.
    """
    files = save_checkpoint(
        directory,
        tensors,
        config,
        head,
        dialect=dialect,
        max_shard_size=max_shard_size,
        expected={name: tensor.shape for name, tensor in tensors.items()},
        variant=variant,
    )
    config.save_pretrained(directory)
    return files


def _model_weights(
    tensors: Mapping[str, Array | LazyTensor], shapes: Mapping[str, Shape], head: str | None, dtype: str | None
) -> dict[str, LazyTensor]:
    """Return what the model stores, in the model's order and the type asked for.

    Raises:
        CheckpointError: The message lists all weights that are missing, misshapen or of an unknown type.
    """
    if dtype is not None and dtype not in DTYPES:
        raise CheckpointError(f"the dtype is {dtype!r}; expected one of {', '.join(DTYPES)}")
    faults = [f"{name} is missing" for name in shapes if name not in tensors]
    weights = {name: replace(lazy(tensors[name]), name=name) for name in shapes if name in tensors}
    for name, tensor in weights.items():
        if tensor.shape != shapes[name]:
            faults.append(f"{name} is {tensor.shape}, expected {shapes[name]}")
        is_quantized = not tensors.keys().isdisjoint((f"{name}{SCALE_SUFFIX}", f"{PREFIX}.{name}{SCALE_SUFFIX}"))
        types = DTYPES if is_known(name) and not is_quantized else KNOWN_DTYPES
        if tensor.dtype not in types.values():
            faults.append(f"{name} has the type {tensor.dtype}, expected one of {', '.join(types)}")
    if faults:
        model = "what this model has" if head is None else f"a DistilBert{head} of this config"
        raise CheckpointError(f"these weights are not {model}: {'; '.join(sorted(faults))}")
    return {name: cast_float(tensor, dtype) for name, tensor in weights.items()}


def _in_layout(bare: str, tensor: LazyTensor, dialect: Dialect) -> LazyTensor:
    """Return a weight as a dialect stores it."""
    return tensor.transposed() if dialect.column != "canonical" and is_transposed(bare) else tensor


def _write(
    directory: Path,
    parts: list[dict[str, LazyTensor]],
    file_tensors: Mapping[str, LazyTensor],
    dialect: Dialect,
    head: str | None,
    variant: str | None,
) -> list[Path]:
    """Write the parts of a model: one file, the two of a KerasHub preset, or shards with an index."""
    if len(parts) > 1 and not dialect.head_filename:
        return write_shards(directory, parts, dialect, variant, file_tensors)
    filenames = (dialect.file(variant), dialect.head_filename)
    return write_one_file_each(directory, dict(zip(filenames, parts, strict=False)), dialect, head)


def _materialized(
    file_tensors: dict[str, LazyTensor], dialect: Dialect, config: DistilBertConfig, head: str | None
) -> dict[str, LazyTensor]:
    """Add a tied projector as a tensor of its own; in PyTorch's own format it always has its name."""
    if dialect.framework != "pt" or head != "ForMaskedLM":
        raise UnsupportedFormatError(
            "only PyTorch's masked-LM model can have a projector of its own, no "
            f"{dialect.framework} DistilBert{head or ''}; leave materialize-tied out"
        )
    if dialect.container == "torch" or not config.tie_word_embeddings:
        return file_tensors
    return {**file_tensors, _PROJECTOR: file_tensors[_EMBEDDINGS]}


def _with_tied(
    tensors: dict[str, LazyTensor], dialect: Dialect, config: DistilBertConfig, head: str | None
) -> dict[str, LazyTensor]:
    """Add a tied projector where transformers stores it: in PyTorch's own format, as the embeddings' second name."""
    tied = head == "ForMaskedLM" and config.tie_word_embeddings and dialect.container == "torch"
    return {**tensors, _PROJECTOR: tensors[_EMBEDDINGS]} if tied and _EMBEDDINGS in tensors else tensors
