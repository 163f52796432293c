"""What a file or a folder is that is no checkpoint of ours, and the one thing to do about it.

`get it again` cures a file that was cut off; it does not cure an error page saved under the name of a checkpoint, a
folder of folders, or a format of another program. These are told apart here, once a reader has refused them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from distilbert_common.files import failed_download

CONTENTS: tuple[tuple[bytes, str, str], ...] = (
    # begins with               is                                     do
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "give it a name that ends in .h5"),
    (
        b"PK\x03\x04",
        "a zip archive, as torch.save writes",
        "unpack it, or give it a name that ends in .bin if it is one",
    ),
    (b"BZh", "compressed by bzip2", "unpack it with: bunzip2"),
    (b"\xfd7zXZ\0", "compressed by xz", "unpack it with: unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it with: unzstd"),
    (b"GGUF", "a GGUF file of llama.cpp", "use the checkpoint that it was made from"),
)
"""How foreign files begin; a file whose beginning fits its name is not looked up here."""

OWN: dict[str, tuple[bytes, ...]] = {
    "torch": (b"PK\x03\x04", b"\x80"),
    "hdf5": (b"\x89HDF",),
    "keras_hub": (b"\x89HDF",),
    "orbax": (b"{",),
}
"""How files of a container begin, where that is fixed."""

SAFETENSORS = "a safetensors file", "give it a name that ends in .safetensors"

FILES: tuple[tuple[str, str], ...] = (
    # beside no weights           advice
    ("*-00001-of-*", "its index of shards is missing: fetch that too, or save the model again"),
    ("adapter_model.*", "it is a PEFT adapter: load its base model, merge_and_unload() it and save the result"),
    ("adapter_config.json", "it is a PEFT adapter: load its base model, merge_and_unload() it and save the result"),
    (
        "saved_model.pb",
        "it is a SavedModel, which has no names of weights: use the checkpoint that it was exported from",
    ),
    ("*.onnx", "it is an ONNX export: use the checkpoint that it was exported from"),
    ("*.gguf", "it is a GGUF file: use the checkpoint that it was made from"),
    ("*.ot", "it is made for rust-bert: use the checkpoint that it was made from"),
    ("*.tflite", "it is a LiteRT export: use the checkpoint that it was exported from"),
    ("*.keras", "it is a whole Keras model: open it with keras.saving.load_model and call its save_pretrained"),
)
"""What lies in folders without weights that people take for checkpoints, by file name."""

_START = 64
_MAX_LISTED = 5


def wrong_content(path: Path, container: str) -> str | None:
    """Return what a file is by its beginning and what to do, or None where that is what its name says.

    Args:
        path: The file.
        container: What its name says that it is.
    """
    with path.open("rb") as file:
        start = file.read(_START)
    if any(start.startswith(magic) for magic in OWN.get(container, ())):
        return None
    if container != "safetensors" and start[8:9] == b"{" and start[4:8] == b"\0\0\0\0":
        return "{} is {}; {}".format(path, *SAFETENSORS)
    if (content := failed_download(start)) is not None:
        return f"{path} is {content}"
    for magic, what, advice in CONTENTS:
        if start.startswith(magic):
            return f"{path} is {what}; {advice}"
    return None


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
    others = [name for name in others if name not in _BESIDE]
    if others:
        return f"if one of {_listed(others)} holds them, give that file, as {folder / others[0]}"
    return "give the folder that a save_pretrained wrote"


_BESIDE = {"training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "rng_state.pth", "scaler.pt"}


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except OSError:
        return set()


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MAX_LISTED]) + (", …" if len(names) > _MAX_LISTED else "")
