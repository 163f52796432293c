"""The folder that a run leaves: a model directory that every family and transformers open, and the record beside it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError, OutputExistsError
from distilbert_common.files import is_half_written, local_path, replacing
from distilbert_conversion import convert
from distilbert_tasks.training.history import METRICS_FILENAME, TENSORBOARD
from distilbert_tasks.training.record import RECORD_FILENAME

__all__ = [
    "CHECKPOINTS",
    "CORPUS",
    "check_one_of",
    "clear_folder",
    "copy_model",
    "forget_run",
    "model_saver",
    "open_folder",
    "publish",
    "remove_leftovers",
]

CHECKPOINTS = "checkpoints"
"""The folder of the checkpoints, in that of the run."""
CORPUS = "corpus"
"""The folder of a tokenized corpus there; one that is left of another run is used again where it fits."""
_TEMPORARY = ".model"
_WRITTEN = (
    *("config.json", "model.safetensors", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "README.md"),
    *("special_tokens_map.json", "added_tokens.json", "curves.png", RECORD_FILENAME, METRICS_FILENAME),
)
_OF_A_RUN = {RECORD_FILENAME, METRICS_FILENAME, CHECKPOINTS}


def check_one_of(resume: bool, overwrite: bool, kind: str = "run") -> None:
    """Require that what is in a folder is to go on or to be replaced, not both.

    Args:
        resume: Whether it goes on.
        overwrite: Whether it is replaced.
        kind: What it is, in a word.

    Raises:
        InputError: Both were asked for.
    """
    if resume and overwrite:
        raise InputError(
            f"resume (--resume) goes on with the {kind} there, overwrite (--overwrite) replaces it; give one of them"
        )


def open_folder(folder: Path, *, resume: bool, overwrite: bool, sources: Iterable[Any] = ()) -> None:
    """Make the folder of a run, or see to it that the run in it may go on or be replaced; nothing is removed yet.

    Args:
        folder: Where the run is to write.
        resume: Whether a run that was begun there goes on.
        overwrite: Whether a run that was begun there is to be replaced.
        sources: What the run reads: a model and data; those that are paths must not be in what is replaced.

    Raises:
        OutputExistsError: There is something else, or neither was asked for, or a source would be lost.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file; give a folder to write to")
    paths = {*folder.iterdir()} - {*_half_written(folder)} if folder.exists() else set()
    names = {path.name for path in paths} - {CORPUS}
    if names and not names & _OF_A_RUN:
        raise OutputExistsError(f"{folder} is not empty, and holds no run of training; give another folder")
    if names and not resume and not overwrite:
        raise OutputExistsError(
            f"{folder} holds a run; go on with resume (--resume), replace it with overwrite (--overwrite), or give "
            "another folder"
        )
    if names and overwrite and not resume:
        _check_apart(folder, sources)
    folder.mkdir(parents=True, exist_ok=True)


def _check_apart(folder: Path, sources: Iterable[Any]) -> None:
    """Require sources outside of a folder that is to be replaced."""
    for source in sources:
        if isinstance(source, (str, Path)) and local_path(source).resolve().is_relative_to(folder.resolve()):
            raise OutputExistsError(
                f"{source} is in {folder}, which overwrite (--overwrite) replaces; give another folder to write to"
            )


def clear_folder(folder: Path) -> None:
    """Remove the run in a folder but for its corpus, once what replaces it has been read and found good."""
    for path in folder.iterdir():  # the folder itself may be a link, or where a disk is mounted
        if path.name == CORPUS:
            continue
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def forget_run(folder: Path) -> None:
    """Remove what a run wrote that ended before its first checkpoint, so that there is nothing to go on with."""
    for name in (RECORD_FILENAME, METRICS_FILENAME):
        (folder / name).unlink(missing_ok=True)
    for name in (CHECKPOINTS, TENSORBOARD):
        shutil.rmtree(folder / name, ignore_errors=True)


def model_saver(model: Any, tokenizer: Any) -> Callable[[Path], None]:
    """Return what writes a model, as it then is, and its tokenizer into a folder."""

    def save(folder: Path) -> None:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    return save


def copy_model(source: Path) -> Callable[[Path], None]:
    """Return what copies a model directory into a folder."""

    def save(folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True)

    return save


def publish(save: Callable[[Path], None], folder: Path) -> None:
    """Write a model into the folder of a run, as transformers' PyTorch classes name its weights.

    Each file appears whole; the config, by which a folder is known to hold a model, is the last.

    Args:
        save: Writes the model, in any dialect, and its tokenizer into a folder.
        folder: The folder of the run.
    """
    remove_leftovers(folder)
    temporary = folder / _TEMPORARY
    saved, converted = temporary / "saved", temporary / "converted"
    saved.mkdir(parents=True)
    save(saved)
    convert(saved, converted, to="pt")
    for path in sorted(converted.iterdir(), key=lambda path: path.name == "config.json"):
        with replacing(folder / path.name) as target:
            shutil.copyfile(path, target)
    shutil.rmtree(temporary)


def remove_leftovers(folder: Path) -> None:
    """Remove what a run that was killed left half written: the model on its way, and files beside their places."""
    shutil.rmtree(folder / _TEMPORARY, ignore_errors=True)
    for path in _half_written(folder):
        path.unlink()


def _half_written(folder: Path) -> list[Path]:
    """Return the files of a run that a kill left beside their places."""
    return [path for path in folder.iterdir() if is_half_written(path, *_WRITTEN)]
