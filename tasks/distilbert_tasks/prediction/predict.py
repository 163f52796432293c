"""Prediction: a model and examples in, rows with answers out, in the order of the examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError
from distilbert_common.files import local_path
from distilbert_tasks.data.readers import is_table
from distilbert_tasks.prediction.inputs import Row, read_rows, rows_of_table, rows_of_texts
from distilbert_tasks.prediction.predictor import Predictor

__all__ = ["predict"]


def predict(
    model: str | Path,
    texts: Iterable[str | Mapping[str, Any]] | None = None,
    *,
    file: str | Path | None = None,
    rows: Iterable[Row] | None = None,
    file_format: str | None = None,
    task: str | None = None,
    framework: str | None = None,
    device: str = "auto",
    columns: Mapping[str, str | Sequence[str]] | None = None,
    batch_size: int | None = None,
    **options: Any,
) -> Iterator[Row]:
    """Predict; examples are read as they are needed, some hundreds ahead.

    Args:
        model: A directory, a weights file or a hub id, in any dialect.
        texts: Texts, or objects with what the task needs, as {"question": …, "context": …}; or a data frame.
        file: A file with examples: text (one a line), jsonl, json, csv, tsv or parquet, also compressed.
        rows: Examples by column, such as those of another program.
        file_format: The format of `file`; None to tell it by the name.
        task: The task, by any of its names; None for the one that the model's config names.
        framework: "pt", "tf", "flax" or "onnx"; None for "onnx" where the model is an export, else the first one
            installed.
        device: "cpu", "gpu", or "auto" for the GPU if there is one.
        columns: The columns to take, by the task's names for them; None to look for well-known ones.
        batch_size: How many examples are read ahead of the first result; 1 gives each as soon as it can be.
        **options: Those of the task's pipeline, as `top_k`.

    Returns:
        A row for each example, in their order: its columns, and those of the result. A column of both has "predicted_"
        in front of the result's.

    Raises:
        DistilBertError: Something that was given cannot be used; the message says what, and what to do.
    """
    source, name = _source(texts, file, rows, file_format)
    predictor = Predictor(
        model, task=task, framework=framework, device=device, columns=columns, batch_size=batch_size, **options
    )
    return predictor.rows(source, name)


def _source(
    texts: Iterable[str | Mapping[str, Any]] | None,
    file: str | Path | None,
    rows: Iterable[Row] | None,
    file_format: str | None,
) -> tuple[Iterator[Row], str]:
    """Return the rows to predict, and what they are called.

    Raises:
        InputError: There is not exactly one source.
    """
    if sum(one is not None for one in (texts, file, rows)) != 1:
        raise InputError("give texts, a file or rows to predict: exactly one of them")
    if is_table(texts) or is_table(rows):
        return rows_of_table(rows if texts is None else texts), "the data frame"
    if file is not None:
        return read_rows(local_path(file), file_format), str(file)
    if rows is not None:
        return iter(rows), "the rows"
    objects = (rows_of_texts([one]) if isinstance(one, str) else [dict(one)] for one in texts or ())
    return chain.from_iterable(objects), "the texts"
