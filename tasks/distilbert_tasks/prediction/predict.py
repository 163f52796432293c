"""Prediction: a model and examples in, rows with answers out, in the order of the examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, tee
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_common.files import local_path
from distilbert_tasks.data.canonical import CANONICAL
from distilbert_tasks.data.columns import Chosen, choose_columns
from distilbert_tasks.data.readers import is_table
from distilbert_tasks.data.records import Records
from distilbert_tasks.pipelines import pipeline
from distilbert_tasks.pipelines.question_answering import DOC_STRIDE, MAX_SEQ_LEN
from distilbert_tasks.prediction.inputs import Row, read_rows, rows_of_table, rows_of_texts

__all__ = ["predict"]

_LISTS = {
    "text-classification": "labels",
    "token-classification": "entities",
    "question-answering": "answers",
    "fill-mask": "tokens",
    "multiple-choice": "ranking",
    "feature-extraction": "features",
}
"""Under which name a result stands that is a list."""
_DEFAULTS: dict[str, dict[str, Any]] = {
    "text-classification": {"truncation": True},
    "token-classification": {"aggregation_strategy": "simple"},
    "multiple-choice": {"top_k": 1, "truncation": True},
}
"""What a pipeline is told where the user says nothing."""
_OBJECTS = {
    "question-answering": 'give objects such as {"question": "…", "context": "…"}, or the context as --context',
    "multiple-choice": 'give objects such as {"prompt": "…", "choices": ["…", "…"]}',
}
"""What is said where somebody gives texts alone."""
_OPTIONS = {
    "top_k": ("text-classification", "question-answering", "multiple-choice", "fill-mask"),
    "candidate_labels": ("zero-shot-classification",),
    "aggregation_strategy": ("token-classification",),
}
"""The tasks that have an option."""


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
    made = pipeline(task, model, framework=framework, device=device, batch_size=batch_size)
    _check_options(options, made.task)
    options = {**_defaults(made.task, made.config.max_position_embeddings, options), **options}
    made.parse_options(options)  # bad ones are refused here, and not when the first row is asked for
    return _predicted(made, source, name, columns, options)


def _defaults(task: str, positions: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a pipeline is told where the user says nothing, so that long inputs are read as in fine-tuning."""
    defaults = dict(_DEFAULTS.get(task, {}))
    if task == "token-classification" and options.get("aggregation_strategy") != "none":
        defaults["stride"] = positions // 4  # long texts to their end
    if task == "question-answering":
        length = min(options.get("max_seq_len") or MAX_SEQ_LEN, positions)
        stride = options.get("doc_stride", min(length // 2, DOC_STRIDE))
        defaults["max_question_len"] = max(1, min(length // 2, length - 4 - stride))
    return defaults


def _check_options(options: Mapping[str, Any], task: str) -> None:
    """Require options that the task has, of those that only some tasks have."""
    for name, tasks in _OPTIONS.items():
        if name in options and task not in tasks:
            raise InputError(
                f"{name} is an option of {', '.join(tasks)}, and the task is {task}; leave it out, or name another task"
            )


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


def _predicted(
    made: Any, source: Iterator[Row], name: str, columns: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> Iterator[Row]:
    first = list(islice(source, 1))
    if not first:
        return
    if made.task in _OBJECTS and not columns and list(first[0]) == ["text"]:
        raise InputError(f"{made.task} takes more than a text; {_OBJECTS[made.task]}")
    chosen = choose_columns(_data_task(made.task, first[0], columns or {}), list(first[0]), columns, False, name)
    if "tokens" in chosen:
        options = {"is_split_into_words": True, **options}
    rows, examples = tee(chain(first, source))
    results = made((_example(row, chosen, number, name) for number, row in enumerate(examples, 1)), **options)
    for row, result in zip(rows, results, strict=True):
        yield _merged(row, _as_columns(result, made.task, options))


def _data_task(task: str, row: Row, columns: Mapping[str, Any]) -> str:
    """Return the task whose columns a pipeline takes: words that are cut already, or else texts."""
    if task == "token-classification":
        is_cut = "tokens" in columns or any(isinstance(row.get(name), list) for name in ("tokens", "words"))
        return task if is_cut else "fill-mask"
    return "fill-mask" if task in ("zero-shot-classification", "feature-extraction") else task


def _example(row: Row, chosen: Chosen, number: int, source: str) -> Any:
    """Return what a pipeline takes of a row: choices and words as fine-tuning takes them.

    Raises:
        InputError: A column is not there, or its value cannot be used.
    """
    missing = [name for names in chosen.values() for name in names if name not in row]
    if missing:
        raise InputError(
            f"example {number} has no {missing[0]!r}, which the first one has; give the same columns to all"
        )
    if "choices" in chosen or "tokens" in chosen:
        records = Records({name: [value] for name, value in row.items()}, source, np.array([number]))
        columns = CANONICAL["multiple-choice" if "choices" in chosen else "token-classification"](records, chosen)
        return columns["tokens"][0] if "tokens" in columns else {name: columns[name][0] for name in columns}
    if "question" in chosen:
        return {role: row[chosen[role][0]] for role in ("question", "context")}
    names = chosen["text"] + chosen.get("text_pair", ())
    return {"text": row[names[0]], "text_pair": row[names[1]]} if len(names) == 2 else row[names[0]]


def _as_columns(result: Any, task: str, options: Mapping[str, Any]) -> Row:
    """Return a result as columns."""
    if isinstance(result, list) and len(result) == 1 and options.get("top_k") == 1 and isinstance(result[0], dict):
        result = result[0]
    if not isinstance(result, dict):
        return {_LISTS[task]: result}
    is_text = task == "zero-shot-classification"  # whose "sequence" is the text again
    return {name: value for name, value in result.items() if not (is_text and name == "sequence")}


def _merged(row: Row, columns: Row) -> Row:
    return {**row, **{f"predicted_{name}" if name in row else name: value for name, value in columns.items()}}
