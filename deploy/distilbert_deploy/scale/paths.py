"""Paths that mean the same in every process, and what is at them."""

from __future__ import annotations

from glob import has_magic
from hashlib import file_digest
from pathlib import Path
from typing import Any

from distilbert_common.files import local_path
from distilbert_deploy.onnx_files import find_onnx
from distilbert_tasks.pipelines.loading import is_export
from distilbert_tasks.training.fingerprints import weights_fingerprint

__all__ = ["everywhere", "fingerprint"]


def everywhere(source: Any) -> Any:
    """Return a source as processes elsewhere find it too: a path from the root, or a hub id or data set as it is."""
    if isinstance(source, Path) or (isinstance(source, str) and (has_magic(source) or local_path(source).exists())):
        return str(local_path(source).absolute())
    if isinstance(source, (list, tuple)):
        return [everywhere(one) for one in source]
    return source


def fingerprint(model: str | Path) -> str:
    """Return the fingerprint of the weights of a model, or of the file of an export.

    Raises:
        CheckpointNotFoundError: There is no checkpoint.
    """
    if not is_export(model):
        return weights_fingerprint(model)
    with find_onnx(model, None, {})[0].open("rb") as file:
        return file_digest(file, "blake2b").hexdigest()
