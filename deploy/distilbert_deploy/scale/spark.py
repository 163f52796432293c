"""Prediction in Spark: a function of columns, which each of Spark's processes computes with a model of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distilbert_common import DistilBertConfig
from distilbert_deploy.runtimes import require_module
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


def spark_udf(model: str | Path, *, task: str | None = None, **options: Any) -> Any:
    """Return a function of Spark that answers rows, as `udf(struct("text"))` or `udf(struct("question", "context"))`.

    Args:
        model: A directory, a weights file or a hub id, in any dialect, which each machine of the cluster can read.
        task: The task, by any of its names; None for the one that the model's config names.
        **options: Those of `predict`, as `framework`, but those that change the columns of an answer.

    Raises:
        MissingFrameworkError: PySpark is not installed.
        InputError: The model's config tells no task.
    """
    functions = require_module("pyspark.sql.functions", "pyspark", "spark", "prediction in Spark")
    import pandas as pd

    name = find_task(task).name if task else task_of(DistilBertConfig.from_pretrained(folder_of(model))).name

    def answers(frames: Iterator[Any]) -> Iterator[Any]:
        predictor = Predictor(model, task=name, **options)
        for frame in frames:
            rows = list(rows_of_table(frame))
            yield pd.DataFrame(list(predictor.answers(rows, rows[0], "the data frame")))

    answers.__annotations__ = dict.fromkeys(("frames", "return"), Iterator[pd.DataFrame])  # by which Spark calls it
    return functions.pandas_udf(answers, _SCHEMAS[name])
