"""The files beside the weights: config and tokenizer, copied or translated."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distilbert_common.config_values import storable
from distilbert_common.credentials import credential_names, without_credentials
from distilbert_common.errors import CheckpointError, UnreadableFileError
from distilbert_common.files import check_fetched, read_json, replacing, write_text
from distilbert_conversion.checkpoint import Checkpoint
from distilbert_conversion.source import Source
from distilbert_conversion.translate.keras_hub_files import preset_files, vocabulary_of
from distilbert_conversion.translate.text_files import as_json, read_object, read_text, section

__all__ = ["SIDECAR_FILES", "check_sidecar_files", "lost_in_a_preset", "write_preset", "write_sidecar_files"]

SIDECAR_FILES = ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""The files that go along as they are."""


def check_sidecar_files(source: Source) -> None:
    """Check the text files that go along: each lies in the checkpoint's folder, and is the text that its name promises.

    Raises:
        CheckpointError: A file is a link that leads out of its folder, or no text.
        UnreadableFileError: A file is empty, no JSON, or what a failed download leaves.
    """
    filenames = (*SIDECAR_FILES, "config.json")
    paths = [path for filename in filenames if (path := source.sibling(filename)) is not None]
    for path in paths:
        _check_link(path)
    for path in paths:
        check_fetched(path)
        if not path.stat().st_size:
            raise UnreadableFileError(f"{path} is empty; get it again, or remove it")
        read_json(path) if path.suffix == ".json" else read_text(path)


def _check_link(path: Path) -> None:
    """Check that a file whose text is copied is what it seems: a folder that was fetched may link to any secret.

    Weights may be links to anywhere, since only numbers come out of them; links into the hub's cache are its own.
    """
    folder = path.parent.resolve()
    caches = [parent.parent / "blobs" for parent in folder.parents if parent.name == "snapshots"]
    if not any(path.resolve().is_relative_to(parent) for parent in (folder, *caches)):
        raise CheckpointError(
            f"{path} is a link to {path.resolve()}, out of its folder, and is not followed; "
            "copy that file to its place if it belongs there"
        )


def write_preset(checkpoint: Checkpoint, directory: Path, head: str, dtype: str | None) -> None:
    """Write the text files of a KerasHub preset."""
    texts = checkpoint.translated.sidecar_files
    if texts is None:
        vocabulary = vocabulary_of(checkpoint.source)
        tokenizer = {
            **_normalizer_options(checkpoint.source.sibling("tokenizer.json")),
            **read_object(checkpoint.source.sibling("tokenizer_config.json")),
        }
    else:
        vocabulary, tokenizer = texts.get("vocab.txt"), json.loads(texts.get("tokenizer_config.json", "{}"))
    files = preset_files(checkpoint.config(), head, dtype or checkpoint.dtype, vocabulary, tokenizer)
    _write_texts(files, directory)


def _normalizer_options(tokenizer_json: Path | None) -> dict[str, Any]:
    """Return what tokenizer.json says of lower-casing and accents, for where tokenizer_config.json says nothing."""
    normalizer = section(read_object(tokenizer_json), "normalizer")
    names = {"do_lower_case": "lowercase", "strip_accents": "strip_accents"}
    return {ours: normalizer[theirs] for ours, theirs in names.items() if theirs in normalizer}


def write_sidecar_files(checkpoint: Checkpoint, directory: Path, head: str | None, dtype: str | None) -> None:
    """Copy the tokenizer's files, and the config with what the conversion changes in it."""
    if checkpoint.translated.sidecar_files is not None:
        _write_texts(checkpoint.translated.sidecar_files, directory)
    for name in SIDECAR_FILES if checkpoint.translated.sidecar_files is None else ():
        source = checkpoint.source.sibling(name)
        if source is not None:
            with replacing(directory / name) as temporary:
                shutil.copyfile(source, temporary)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        _make_fit_to_write(directory / name)
    is_translated = checkpoint.translated.fields is not None
    if is_translated:
        _rename_tokenizer(directory / "tokenizer_config.json")
    changes = _changes(checkpoint.fields, checkpoint.head if is_translated and head is None else head, dtype)
    fields = {name: value for name, value in checkpoint.fields.items() if name != "quantization_config"}  # is undone
    write_text(directory / "config.json", as_json({**storable(fields), **changes}))


def _make_fit_to_write(path: Path) -> None:
    """Write a file about special tokens anew where it holds what must not, or cannot, go along as it is.

    Old versions of transformers left access tokens in it. Version 5 lists special tokens in a field that 4 takes for
    a mapping, and fails on; both know the list by its earlier name.
    """
    try:
        fields = read_json(path) if path.is_file() else {}
    except UnreadableFileError:
        return  # it goes along as it is
    listed = fields.get("extra_special_tokens")
    if isinstance(listed, list):
        tokens = [*(fields.get("additional_special_tokens") or ()), *listed]
        fields = {**fields, "additional_special_tokens": tokens}
        del fields["extra_special_tokens"]
    if isinstance(listed, list) or credential_names(fields):
        write_text(path, as_json(without_credentials(fields)))


def lost_in_a_preset(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return in words what of the tokenizer a KerasHub preset has no place for."""
    config = read_object(checkpoint.source.sibling("tokenizer_config.json"))
    added = {str(token) for token in read_object(checkpoint.source.sibling("added_tokens.json"))}
    in_config = section(config, "added_tokens_decoder").values()
    added |= {str(token.get("content")) for token in in_config if isinstance(token, Mapping)}
    vocabulary = set((vocabulary_of(checkpoint.source) or "").splitlines())
    beyond = sorted(added - vocabulary) if vocabulary else []
    declared = config.get("tokenizer_class") or "DistilBertTokenizer"
    notes = []
    if beyond:
        notes.append(f"the added tokens {', '.join(beyond)} are left out: a preset holds the vocabulary only")
    if str(declared).removesuffix("Fast") not in ("DistilBertTokenizer", "BertTokenizer"):
        notes.append(f"the tokenizer is a {declared}; the preset's cuts texts as DistilBERT's does")
    return tuple(notes)


def _rename_tokenizer(path: Path) -> None:
    """Name DistilBERT's tokenizer in place of BERT's, which hands out token types."""
    fields = read_json(path) if path.is_file() else {}
    name = str(fields.get("tokenizer_class", ""))
    if name in ("BertTokenizer", "BertTokenizerFast"):
        write_text(path, as_json({**fields, "tokenizer_class": f"Distil{name}"}))


def _write_texts(texts: Mapping[str, str], directory: Path) -> None:
    """Write texts by name, in folders that are made."""
    for name, text in texts.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(directory / name, text)


def _changes(fields: dict[str, Any], head: str | None, dtype: str | None) -> dict[str, Any]:
    """Return the config fields that a conversion sets; class names are PyTorch's in every framework."""
    changes: dict[str, Any] = {}
    if head is not None:
        changes["architectures"] = [f"DistilBert{head}"]
    elif isinstance(fields.get("architectures"), list):
        changes["architectures"] = [
            str(name).removeprefix("TF").removeprefix("Flax") for name in fields["architectures"]
        ]
    if dtype is not None:
        changes["torch_dtype" if "torch_dtype" in fields else "dtype"] = dtype
    return changes
