"""Paths that mean the same in every process, and what is at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from glob import has_magic
from hashlib import file_digest
from pathlib import Path
from typing import Any

from distilbert_common.files import local_path
from distilbert_deploy.onnx_files import find_onnx
from distilbert_tasks.data import DataOptions
from distilbert_tasks.data.reading import read_split
from distilbert_tasks.data.sources import open_sources
from distilbert_tasks.pipelines.loading import is_export
from distilbert_tasks.training.fingerprints import weights_fingerprint

__all__ = ["absolute_source", "check_data", "fingerprint"]


def absolute_source(source: Any) -> Any:
    """Return a source as processes elsewhere find it too: a path from the root, or a hub id or data set as it is."""
    if isinstance(source, Path) or (isinstance(source, str) and (has_magic(source) or local_path(source).exists())):
        return str(local_path(source).absolute())
    if isinstance(source, (list, tuple)):
        return [absolute_source(one) for one in source]
    return source


def check_data(task: str, sources: Mapping[str, Any], options: DataOptions) -> None:
    """Require data to be there with the columns of a task, before processes are started that read it.

    Args:
        task: The name of the task.
        sources: By split what it is read from, or None.
        options: How it is read.

    Raises:
        InputError: A file or a column is not there, no file fits a pattern, or the first row cannot be used.
        HubError: A data set cannot be had from the hub.
    """
    named = {split: source for split, source in sources.items() if source is not None}
    for split, source in open_sources(named, options, []).items():
        read_split(task, split, source, replace(options, max_rows=1), [])


def fingerprint(model: str | Path) -> str:
    """Return the fingerprint of the weights of a model, or of the file of an export.

    Raises:
        CheckpointNotFoundError: There is no checkpoint.
    """
    if not is_export(model):
        return weights_fingerprint(model)
    with find_onnx(model, None, {})[0].open("rb") as file:
        return file_digest(file, "blake2b").hexdigest()
