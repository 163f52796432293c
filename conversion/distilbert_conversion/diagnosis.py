"""What a folder is that has no weights file of ours, and the one thing to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["advice_on_folder"]

_EXPORT = "it is {} export, for its own runtime: use the checkpoint that it was exported from, or export that to ONNX"
FILES: tuple[tuple[str, str], ...] = (
    # beside no weights           advice
    ("*-00001-of-*", "its index of shards is missing: fetch that too, or save the model again"),
    ("adapter_model.*", "it is a PEFT adapter: load its base model, merge_and_unload() it and save the result"),
    ("adapter_config.json", "it is a PEFT adapter: load its base model, merge_and_unload() it and save the result"),
    (
        "**/saved_model.pb",
        "it is a SavedModel, which has no names of weights: use the checkpoint that it was exported from",
    ),
    ("**/*.onnx", "it is an ONNX export: name onnx as the framework, or use the checkpoint that it was exported from"),
    ("openvino_model.xml", _EXPORT.format("an OpenVINO")),
    ("*.stablehlo", _EXPORT.format("a StableHLO")),
    ("*.pt2", _EXPORT.format("a torch.export")),
    ("*.pte", _EXPORT.format("an ExecuTorch")),
    ("*.gguf", "it is a GGUF file: use the checkpoint that it was made from"),
    ("*.ot", "it is made for rust-bert: use the checkpoint that it was made from"),
    ("*.tflite", _EXPORT.format("a LiteRT")),
    ("*.keras", "it is a whole Keras model: open it with keras.saving.load_model and call its save_pretrained"),
)
"""What lies in folders without weights that people take for checkpoints, by file name."""

_MAX_LISTED = 5
_NO_WEIGHTS = {"training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "rng_state.pth", "scaler.pt"}


def advice_on_folder(folder: Path, names: Iterable[str], suffixes: Iterable[str]) -> str:
    """Return what to do with a folder in which there are no weights of any expected name.

    Args:
        folder: It.
        names: The names that are looked for.
        suffixes: The ends of the names that any weights file may have.
    """
    names, suffixes = set(names), tuple(suffixes)
    inner = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and names & _names(entry))
    if inner:
        return f"its folders have: give one of {_listed(inner)}, as {folder / inner[0]}"
    for pattern, advice in FILES:
        if any(folder.glob(pattern)):
            return advice
    others = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and entry.name.endswith(suffixes))
    others = [name for name in others if name not in _NO_WEIGHTS]
    if others:
        return f"if one of {_listed(others)} holds them, give that file, as {folder / others[0]}"
    return "give the folder that a save_pretrained wrote"


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except OSError:
        return set()


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MAX_LISTED]) + (", …" if len(names) > _MAX_LISTED else "")
