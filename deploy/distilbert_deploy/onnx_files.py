"""Where the ONNX files of a model lie: in `onnx/`, where transformers.js and Optimum look, or beside the config."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import CheckpointNotFoundError
from distilbert_common.files import local_path, replacing, resolve
from distilbert_deploy.errors import ExportError
from distilbert_tasks.model_config import folder_of

__all__ = ["DEFAULT_OPSET", "FOLDER", "NAMES", "OPSETS", "check_opset", "copy_files", "find_onnx"]

DEFAULT_OPSET = 20
"""The first version of ONNX's operators with GELU as one operator."""
OPSETS = range(17, 24)
"""The versions of ONNX's operators that models can be written in: 17 brought LayerNormalization."""
FOLDER = "onnx"
NAMES = {
    "float32": "model.onnx",
    "float16": "model_fp16.onnx",
    "int8": "model_quantized.onnx",
}
"""The file of each precision, as transformers.js names them."""


def check_opset(opset: int) -> None:
    """Require a version of ONNX's operators that models can be written in.

    Raises:
        ExportError: It is another one.
    """
    if opset not in OPSETS:
        raise ExportError(f"opset is {opset!r}; expected {OPSETS[0]} to {OPSETS[-1]}")


def find_onnx(source: str | Path, file_name: str | None, hub: Mapping[str, Any]) -> tuple[Path, str | Path]:
    """Find the ONNX file of a model.

    Args:
        source: A folder, a file, or a hub id.
        file_name: Which file, with its folder; None for the first of those of `NAMES`.
        hub: Keywords of `distilbert_common.files.resolve`.

    Returns:
        The file, and where its config is.

    Raises:
        CheckpointNotFoundError: There is none.
    """
    local = local_path(source)
    if local.is_file():
        return local, folder_of(local)
    names = [f"{folder}{name}" for name in NAMES.values() for folder in (f"{FOLDER}/", "")]
    for name in [file_name] if file_name else names:
        path = resolve(source, name, required=False, **hub)
        if path is not None:
            return path, source
    looked_for = file_name or f"{FOLDER}/{NAMES['float32']}"
    raise CheckpointNotFoundError(f"{source} has no {looked_for}; export a model there with distilbert export")


def copy_files(path: Path, folder: Path, config: DistilBertConfig) -> None:
    """Copy an ONNX file into the layout of an export, with its config."""
    target = folder / FOLDER / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        shutil.copyfile(path, temporary)
    config.save_pretrained(folder)
