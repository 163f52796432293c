"""Opening a checkpoint of any dialect, from files or from tensors in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from distilbert_common.errors import CheckpointError
from distilbert_conversion import formats
from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.formats import safetensors_file
from distilbert_conversion.rivals import warn_of_rivals
from distilbert_conversion.source import Source
from distilbert_conversion.translate import bert, keras_hub
from distilbert_conversion.translate.quantized import dequantized
from distilbert_conversion.translate.translated_checkpoint import TranslatedCheckpoint
from distilbert_conversion.translate.wrappers import unwrapped
from distilbert_conversion.weights.dialects import DIALECTS, container_of, detect
from distilbert_conversion.weights.lazy import Array, LazyTensor, equal, lazy

__all__ = ["open_checkpoint", "view_checkpoint"]


def open_checkpoint(
    name_or_path: str | Path | Source, *, cache_dir: str | Path | None = None, revision: str | None = None,
    token: str | bool | None = None, local_files_only: bool = False, subfolder: str | None = None,
    force_download: bool = False, variant: str | None = None, use_safetensors: bool | None = None,
    fold_token_type: bool | None = None, wrapper: str = "",
) -> Checkpoint:  # fmt: skip
    """Open a checkpoint in any dialect; tensors are read when they are asked for.

    Args:
        name_or_path: A directory, a weights file, an index of shards, a hub id, or what `Source.find` made of one.
        cache_dir: The hub cache to use instead of the default one.
        revision: Branch, tag or commit on the hub.
        token: Access token for private repositories.
        local_files_only: Look in the hub cache only, never on the network.
        subfolder: Folder inside the directory or repository.
        force_download: Fetch the files of a hub id anew though they are in the cache.
        variant: Which of several sets of weights: "fp16" for `model.fp16.safetensors`.
        use_safetensors: True to read safetensors only, False all other formats only.
        fold_token_type: Read a BERT as a DistilBERT too, with token type 0 added to every position or left out;
            None refuses a BERT.
        wrapper: What stands before the names of the model that is meant, as "student."; only of a file of several.

    Raises:
        CheckpointError: There are no weights, a file is damaged, or its names are not DistilBERT's.
        ConfigError: It is a BERT that no DistilBERT equals.
    """
    source = Source.find(
        name_or_path, variant=variant, use_safetensors=use_safetensors, cache_dir=cache_dir, revision=revision,
        token=token, local_files_only=local_files_only, subfolder=subfolder, force_download=force_download,
    )  # fmt: skip
    checkpoint = _open(source, fold_token_type, wrapper)
    warn_of_rivals(checkpoint, lambda rival: _open(rival, fold_token_type, wrapper))
    return checkpoint


def _open(source: Source, fold_token_type: bool | None, wrapper: str) -> Checkpoint:
    """Open a weights file or an index of shards."""
    preset = keras_hub.read_preset(source) if source.path.name == DIALECTS["keras-hub"].filename else None
    if preset is not None:
        return Checkpoint(source, preset[0], "keras-hub", preset[1])
    files, index = source.shards()
    file_tensors, metadata = _read(files)
    for name, file in index.items():
        if name not in file_tensors:
            raise CheckpointError(
                f"{source.path} says that {name!r} is in {file}, which does not have it; get both again"
            )
    container = container_of(files[0])
    file_tensors, notes = _plain(source, file_tensors, container, wrapper)
    translated = TranslatedCheckpoint(None, file_tensors, notes=notes)
    if bert.is_bert(file_tensors):
        translated = bert.read_as_distilbert(source, file_tensors, fold_token_type)
        translated = replace(translated, notes=notes + translated.notes)
    dialect = detect(translated.tensors, container, metadata.get("format"), files[0])
    return Checkpoint(source, files, dialect, translated, metadata)


def view_checkpoint(
    tensors: Mapping[str, Array | LazyTensor], name: str = "state_dict", wrapper: str = ""
) -> Checkpoint:
    """Look at tensors in memory as at an open checkpoint, which has no config.

    Args:
        tensors: By the names of any framework's.
        name: What errors call them.
        wrapper: As `open_checkpoint` takes it.

    Raises:
        CheckpointError: No name is one of DistilBERT's.
    """
    source = Source(Path(name))
    file_tensors, notes = _plain(source, {name: lazy(tensor) for name, tensor in tensors.items()}, "torch", wrapper)
    dialect = detect(file_tensors, "torch", None, source.path)
    return Checkpoint(source, [], dialect, TranslatedCheckpoint(None, file_tensors, notes=notes))


def _plain(
    source: Source, file_tensors: Mapping[str, LazyTensor], container: str, wrapper: str
) -> tuple[Mapping[str, LazyTensor], tuple[str, ...]]:
    """Return the tensors of one model, none quantized, and what was done to them in words."""
    file_tensors, notes = unwrapped(source.path, file_tensors, container, wrapper)
    file_tensors, more = dequantized(file_tensors)
    return file_tensors, notes + more


def _read(files: list[Path]) -> tuple[Mapping[str, LazyTensor], dict[str, str]]:
    """Return tensors by the names in the files, and metadata."""
    file_tensors: dict[str, LazyTensor] = {}
    container = container_of(files[0])
    for file in files:
        for name, tensor in formats.read(file, container).items():
            if name in file_tensors and not equal(file_tensors[name], tensor):
                raise CheckpointError(f"{file} and a file beside it hold different values for {name!r}")
            file_tensors[name] = tensor
    return file_tensors, safetensors_file.read_metadata(files[0]) if container == "safetensors" else {}
