"""Converting a checkpoint from one dialect to another, one tensor in memory at a time.

The destination appears whole, by one rename, or not at all. What is written, transformers 4.57 opens in each of its
frameworks with the same outputs, save where that release itself cannot:

- Its TF class always ties the masked-LM projector to the embeddings. The projector of an untied model is written
  for TF as `vocab_projector/kernel:0`, which this project's readers keep and transformers leaves out.
- Its Flax class computes the sinusoidal position table anew. Here the table is a weight like any other, in every
  dialect, so that a tuned one survives.
- Its Flax class opens no safetensors in several files; it opens msgpack in several.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointError
from distilbert_common.files import local_path
from distilbert_common.load_report import LoadReport
from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.encoder_layers import choose_layers
from distilbert_conversion.inventory import Shape, checkpoint_inventory
from distilbert_conversion.opening import open_checkpoint
from distilbert_conversion.output.atomic_directory import atomic_directory, check_target
from distilbert_conversion.output.sidecar_files import (
    check_sidecar_files,
    lost_in_a_preset,
    write_preset,
    write_sidecar_files,
)
from distilbert_conversion.report import check, compare
from distilbert_conversion.save import save_checkpoint
from distilbert_conversion.source import Source
from distilbert_conversion.summary import ConversionSummary
from distilbert_conversion.translate.keras_hub import NOTES
from distilbert_conversion.verify import rounding
from distilbert_conversion.verify import verify as verify_written
from distilbert_conversion.weights.lazy import Array, LazyTensor
from distilbert_conversion.weights.table import HEADS, expected

__all__ = ["FORMATS", "convert", "dialect_of"]

FORMATS: dict[str, tuple[str, ...]] = {
    "pt": ("safetensors", "bin"),
    "tf": ("h5", "safetensors", "keras", "keras-hub"),
    "flax": ("msgpack", "safetensors", "orbax"),
}
"""The formats of each framework, the usual one first."""


def dialect_of(to: str, format: str | None = None) -> str:
    """Return the dialect that a framework and one of its formats make.

    Raises:
        CheckpointError: They are not among `FORMATS`.
    """
    if to not in FORMATS:
        raise CheckpointError(f"the framework to convert to is {to!r}; expected one of {', '.join(FORMATS)}")
    format = format or FORMATS[to][0]
    if format not in FORMATS[to]:
        raise CheckpointError(f"the format is {format!r}; for {to} expected one of {', '.join(FORMATS[to])}")
    return format if format.startswith("keras") else f"{to}-{format}"


@dataclass(frozen=True)
class _Request:
    """What a conversion is to write: arguments of `convert`, and the dialect that they make."""

    dialect: str
    head: str | None
    dtype: str | None
    max_shard_size: int | str | None
    materialize_tied: bool


def convert(
    src: str | Path | Source,
    dst: str | Path,
    *,
    to: str,
    format: str | None = None,
    dtype: str | None = None,
    max_shard_size: int | str | None = None,
    overwrite: bool = False,
    head: str | None = None,
    verify: bool = True,
    fold_token_type: bool = True,
    layers: Sequence[int] | None = None,
    materialize_tied: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ConversionSummary:
    """Write a checkpoint in another dialect, with its config and tokenizer files.

    Args:
        src: A directory, a weights file, an index of shards, a hub id, or what `Source.find` made of one.
        dst: The directory to write.
        to: "pt", "tf" or "flax".
        format: One of `FORMATS[to]`; None for the first.
        dtype: "float32", "float16", "bfloat16" or "float64" to convert to; None keeps each tensor's own.
        max_shard_size: Shard into files of at most this size, as 2_000_000_000 or "2GB"; None for one file.
        overwrite: Replace `dst` though it is not empty, if it is a saved model: the whole directory.
        head: The model to write, a key of `HEADS`; None for the one that the checkpoint holds. Given, weights
            that are not the model's are left out, instead of an error.
        verify: Read what was written again, before it appears at `dst`, and compare every weight's bits.
        fold_token_type: For a BERT: add the row of token type 0 to every position, which is exact for single
            segments; otherwise token types are left out.
        layers: The layers to keep, in this order; None for all.
        materialize_tied: Write a tied projector as a tensor of its own, for runtimes that do not tie; PyTorch only.
        progress: Called with the bytes that were read last and the bytes in all.

    Raises:
        CheckpointError: The source is damaged or not a DistilBERT, weights are missing, misshapen or would be lost, a
            value is beyond the range of `dtype`, or what was written does not come back.
        OutputExistsError: `dst` is not empty, or is the source.
        UnsupportedFormatError: The format cannot hold the type, or cannot be sharded.
    """
    started = perf_counter()
    request = _Request(dialect_of(to, format), head, dtype, max_shard_size, materialize_tied)
    if head is not None and head not in HEADS:
        raise CheckpointError(f"the head is {head!r}; expected one of {', '.join(HEADS)}")
    target = local_path(dst)
    with open_checkpoint(src, fold_token_type=fold_token_type) as opened:
        inputs = [opened.path, *opened.files]
        check_target(target, inputs, overwrite=overwrite)
        check_sidecar_files(opened.source)
        checkpoint = opened if layers is None else choose_layers(opened, layers)
        config = checkpoint.config()
        shapes = expected(config, head) if head else checkpoint_inventory(checkpoint, config)
        report = compare(checkpoint, config, head or checkpoint.head, expected=shapes)
        _check_nothing_lost(checkpoint, report, head)
        tensors = {name: tensor for name in shapes if (tensor := checkpoint.weight(name)) is not None}
        with atomic_directory(target, inputs, overwrite=overwrite) as temporary:
            files, nbytes = _write(temporary, checkpoint, _with_progress(tensors, progress), config, shapes, request)
            written = Source.find(temporary)
            if verify:
                verify_written(written, tensors, dtype)
            changes = None if dtype is None else rounding(written, tensors, dtype)
        return ConversionSummary(
            source_dialect=checkpoint.dialect,
            dialect=request.dialect,
            head=head or checkpoint.head,
            tensors=len(tensors),
            parameters=sum(tensor.size for tensor in tensors.values()),
            nbytes=nbytes,
            seconds=perf_counter() - started,
            files=tuple(target / file.name for file in files),
            report=report,
            notes=checkpoint.notes + (_preset_notes(checkpoint, head) if request.dialect == "keras-hub" else ()),
            verified=verify,
            rounding=changes,
        )


def _write(
    directory: Path,
    checkpoint: Checkpoint,
    tensors: Mapping[str, LazyTensor],
    config: DistilBertConfig,
    shapes: Mapping[str, Shape],
    request: _Request,
) -> tuple[list[Path], int]:
    """Write weights, config and tokenizer; return the weights files, and their size in bytes."""
    files = save_checkpoint(
        directory,
        tensors,
        config,
        request.head or (None if checkpoint.has_own_head else checkpoint.head),
        expected=shapes,
        dialect=request.dialect,
        max_shard_size=request.max_shard_size,
        dtype=request.dtype,
        materialize_tied=request.materialize_tied,
    )
    nbytes = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    if request.dialect == "keras-hub":
        write_preset(checkpoint, directory, request.head or checkpoint.head, request.dtype)
    else:
        write_sidecar_files(checkpoint, directory, request.head, request.dtype)
    return files, nbytes


def _preset_notes(checkpoint: Checkpoint, head: str | None) -> tuple[str, ...]:
    """Return in words what a KerasHub preset does not hold."""
    lost = lost_in_a_preset(checkpoint) if checkpoint.translated.sidecar_files is None else ()
    return NOTES.get(head or checkpoint.head, ()) + lost


def _check_nothing_lost(checkpoint: Checkpoint, report: LoadReport, head: str | None) -> None:
    """Check that nothing is missing, and that nothing would be left out of which the caller did not say so."""
    check(checkpoint, report)
    if report.new_head:
        raise CheckpointError(
            f"{checkpoint.path} has no {', '.join(report.new_head)}; it holds a DistilBert{checkpoint.head}"
        )
    if report.unexpected and head is None:
        raise CheckpointError(
            f"{checkpoint.path} holds weights that are not a DistilBert{checkpoint.head}'s and would be lost: "
            f"{', '.join(report.unexpected)}; name the head to convert ({', '.join(HEADS)}) to leave them out"
        )


def _with_progress(
    tensors: dict[str, LazyTensor], progress: Callable[[int, int], None] | None
) -> dict[str, LazyTensor]:
    """Return the tensors such that reading one is reported."""
    if progress is None:
        return tensors
    total = sum(tensor.nbytes for tensor in tensors.values())

    def watched(tensor: LazyTensor) -> LazyTensor:
        def load() -> Array:
            progress(tensor.nbytes, total)
            return tensor.load()

        return replace(tensor, load=load)

    return {name: watched(tensor) for name, tensor in tensors.items()}
