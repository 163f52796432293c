"""Prediction in Spark: a function of columns, which each of Spark's processes computes with a model of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_deploy.runtimes import require_module
from distilbert_deploy.scale.paths import absolute_source
from distilbert_tasks.model_config import folder_of, task_of
from distilbert_tasks.prediction.inputs import rows_of_table
from distilbert_tasks.prediction.predictor import Predictor
from distilbert_tasks.task import find_task

__all__ = ["spark_udf"]

_SCHEMAS = {
    "text-classification": "label string, score double",
    "token-classification": (
        "entities array<struct<entity_group string, score double, word string, start int, end int>>"
    ),
    "question-answering": "answer string, score double, start int, end int",
    "multiple-choice": "label int, choice string, score double",
    "fill-mask": "tokens array<struct<score double, token int, token_str string, sequence string>>",
}
"""The columns of an answer, where `predict` is given no options that change them."""
_ONE_ANSWER = ("top_k", "topk", "return_all_scores")
"""Options that make a list of an answer."""


def spark_udf(model: str | Path, *, task: str | None = None, **options: Any) -> Any:
    """Return a function of Spark that answers rows, as `udf(struct("text"))` or `udf(struct("question", "context"))`.

    Args:
        model: A directory, a weights file or a hub id, in any dialect, which each machine of the cluster can read.
        task: The task, by any of its names; None for the one that the model's config names.
        **options: Those of `predict`, as `framework`, but those that change the columns of an answer.

    Raises:
        MissingFrameworkError: PySpark is not installed.
        InputError: The model's config tells no task, or an option changes the columns of an answer.
    """
    functions = require_module("pyspark.sql.functions", "pyspark", "spark", "prediction in Spark")
    import pandas as pd
    import pyspark

    model_path = absolute_source(model)
    name = find_task(task).name if task else task_of(DistilBertConfig.from_pretrained(folder_of(model_path))).name
    _check_options(name, options)

    def answers(frames: Iterator[Any]) -> Iterator[Any]:
        predictor, number = Predictor(model_path, task=name, **options), 1
        source = f"partition {pyspark.TaskContext().partitionId()}"
        for frame in frames:
            rows = list(rows_of_table(_of_columns(frame)))
            results = predictor.answers(rows, rows[0], source, number=number)
            yield pd.DataFrame([_one(answer, row, source) for row, answer in enumerate(results, number)])
            number += len(rows)

    answers.__annotations__ = dict.fromkeys(("frames", "return"), Iterator[pd.DataFrame])  # by which Spark calls it
    return functions.pandas_udf(answers, _SCHEMAS[name])


def _check_options(task: str, options: Mapping[str, Any]) -> None:
    """Require answers that have the columns of `_SCHEMAS`.

    Raises:
        InputError: An option changes them.
    """
    if task == "fill-mask":
        changing = [name for name in ("top_k",) if options.get(name) == 1]
    else:
        changing = [name for name in _ONE_ANSWER if name in options]
    changing += [name for name in ("aggregation_strategy",) if options.get(name) == "none"]
    for option in changing:
        raise InputError(
            f"{option} is {options[option]!r}, and answers have other columns then than {_SCHEMAS[task]}; leave it out"
        )


def _of_columns(frame: Any) -> Any:
    """Return what Spark gives for a struct, which is a data frame.

    Raises:
        InputError: It is for something else.
    """
    if not hasattr(frame, "columns"):
        raise InputError('the function was given a column that is no struct; give one, as answer(struct("text"))')
    return frame


def _one(answer: Mapping[str, Any], number: int, source: str) -> Mapping[str, Any]:
    """Return an answer as it is, if it is about one place of the text.

    Raises:
        InputError: It is about several.
    """
    tokens = answer.get("tokens")
    if tokens and isinstance(tokens[0], list):
        raise InputError(f"{source}, row {number}: the text has {len(tokens)} masks; give texts with one")
    return answer
