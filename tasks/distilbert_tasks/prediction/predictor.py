"""A model that answers rows: what `predict` does, in its steps, for programs that divide the rows among processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, tee
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data import DataOptions
from distilbert_tasks.pipelines import pipeline
from distilbert_tasks.pipelines.question_answering import DOC_STRIDE, MAX_SEQ_LEN
from distilbert_tasks.prediction.examples import choose, example_of
from distilbert_tasks.prediction.inputs import Row

__all__ = ["Predictor", "merged"]

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
_OPTIONS = {
    "top_k": ("text-classification", "question-answering", "multiple-choice", "fill-mask"),
    "candidate_labels": ("zero-shot-classification",),
    "aggregation_strategy": ("token-classification",),
}
"""The tasks that have an option."""


class Predictor:
    """A model, and how it is asked.

    Attributes:
        task: The task.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        task: str | None = None,
        framework: str | None = None,
        device: str = "auto",
        columns: Mapping[str, str | Sequence[str]] | None = None,
        batch_size: int | None = None,
        **options: Any,
    ) -> None:
        """Load a model; the arguments are those of `predict`.

        Raises:
            DistilBertError: Something that was given cannot be used; the message says what, and what to do.
        """
        self._columns = DataOptions(columns=columns).columns  # which checks them
        self._pipeline = pipeline(task, model, framework=framework, device=device, batch_size=batch_size)
        self.task: str = self._pipeline.task
        _check_options(options, self.task)
        self._options = {**_defaults(self.task, self._pipeline.config.max_position_embeddings, options), **options}
        self._pipeline.parse_options(self._options)  # bad ones are refused here, and not by the first row

    def rows(self, source: Iterator[Row], name: str) -> Iterator[Row]:
        """Yield each row with its answer.

        Args:
            source: The rows.
            name: What they are called in errors.

        Raises:
            InputError: A row cannot be used.
        """
        first = list(islice(source, 1))
        if not first:
            return
        rows, examples = tee(chain(first, source))
        for row, answer in zip(rows, self.answers(examples, first[0], name), strict=True):
            yield merged(row, answer)

    def answers(self, rows: Iterable[Row], first: Row, name: str, *, number: int = 1) -> Iterator[Row]:
        """Yield the answer to each row, as columns.

        Args:
            rows: The rows.
            first: The first row of all, by which columns are chosen.
            name: What the rows are called in errors.
            number: The number there of the first of `rows`.

        Raises:
            InputError: A row cannot be used.
        """
        chosen = choose(self.task, first, self._columns, name)
        options = {"is_split_into_words": True, **self._options} if "tokens" in chosen else self._options
        examples = (example_of(row, chosen, count, name) for count, row in enumerate(rows, number))
        for result in self._pipeline(examples, **options):
            yield _as_columns(result, self.task, options)


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


def _as_columns(result: Any, task: str, options: Mapping[str, Any]) -> Row:
    """Return a result as columns."""
    if isinstance(result, list) and len(result) == 1 and options.get("top_k") == 1 and isinstance(result[0], dict):
        result = result[0]
    if not isinstance(result, dict):
        return {_LISTS[task]: result}
    is_text = task == "zero-shot-classification"  # whose "sequence" is the text again
    return {name: value for name, value in result.items() if not (is_text and name == "sequence")}


def merged(row: Row, answer: Row) -> Row:
    """Return a row with its answer; a column of both has "predicted_" in front of the answer's."""
    return {**row, **{f"predicted_{name}" if name in row else name: value for name, value in answer.items()}}
