"""Whether the converter writes what transformers 4.57.6 wrote: the golden folder beside the one converted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from distilbert_conversion import convert, open_checkpoint
from parity_tests.helpers.checkpoints import WEIGHTS_FILES
from parity_tests.helpers.golden import folders

DIALECTS = {
    "pt": ("pt-safetensors", "pt", "safetensors"),
    "pt_bin": ("pt-bin", "pt", "bin"),
    "pt_sharded": ("pt-safetensors", "pt", "safetensors"),
    "tf_h5": ("tf-h5", "tf", "h5"),
    "tf_safetensors": ("tf-safetensors", "tf", "safetensors"),
    "flax_msgpack": ("flax-msgpack", "flax", "msgpack"),
    "flax_safetensors": ("flax-safetensors", "flax", "safetensors"),
}

WRITTEN = tuple(WEIGHTS_FILES)
"""The golden folders that the converter is asked to write."""

BYTE_FOR_BYTE = ("pt", "tf_safetensors", "flax_safetensors", "flax_msgpack")
"""Those whose files must be the same to the last byte; HDF5 and zip files hold times and padding of their own."""


def written_as_golden(config: Path, head: str, name: str, directory: Path) -> bool:
    """Convert the golden `pt` folder to the dialect of another golden folder, and compare what was written with it.

    Names, shapes, types and bytes of every tensor must be equal, and all attributes and metadata.

    Args:
        config: A folder of `golden.configs()`.
        head: A name of `golden.HEADS`.
        name: A name of `WRITTEN`, among the folders that this model has.
        directory: Where to write.
    """
    golden = folders(config, head)
    _, to, form = DIALECTS[name]
    (written, *_) = convert(golden["pt"], directory / name, to=to, format=form).files
    expected = golden[name] / WEIGHTS_FILES[name]
    if name in BYTE_FOR_BYTE:
        return written.read_bytes() == expected.read_bytes()
    if name == "tf_h5":
        return described(written) == described(expected)
    return tensors(written) == tensors(expected)


def tensors(path: Path) -> dict[str, tuple[Any, ...]]:
    """Return shape, type and bytes of every tensor by its name in the file."""
    with open_checkpoint(path) as checkpoint:
        return {name: (t.shape, t.dtype, t.read().tobytes()) for name, t in checkpoint.file_tensors.items()}


def described(path: Path) -> dict[str, Any]:
    """Return every group, data set and attribute of an HDF5 file; numbers that differ by process are made equal.

    Keras counts the models and the dropout layers that a process has made, and writes the counts into the names.
    """
    entries: dict[str, Any] = {}

    def plain(text: str) -> str:
        return re.sub(r"(tf_distil_bert[a-z_]*?|dropout)(_\d+)?(?=/|$)", r"\1", text)

    def visit(name: str, item: Any) -> None:
        attributes = {key: [plain(str(entry)) for entry in np.atleast_1d(value)] for key, value in item.attrs.items()}
        content = (item.dtype, item.shape, item[()].tobytes()) if isinstance(item, h5py.Dataset) else ()
        entries[plain(name)] = (attributes, content)

    with h5py.File(path) as file:
        visit("", file)
        file.visititems(visit)
    return entries
