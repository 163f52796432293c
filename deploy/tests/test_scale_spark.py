"""Prediction in Spark, in a cluster of this machine alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distilbert_common.errors import InputError
from distilbert_deploy.scale import spark_udf
from distilbert_tasks.prediction.predict import predict
from parity_tests.helpers.pipeline_models import write_model

pytestmark = pytest.mark.requires("spark")

TEXTS = [{"text": "my card"}, {"text": "why is my card not here yet?"}, {"text": "no"}]
ROWS: dict[str, list[dict[str, Any]]] = {
    "three": TEXTS,
    "entities": TEXTS,
    "answers": [{"question": "where is my card?", "context": text["text"]} for text in TEXTS],
    "mlm": [{"text": f"{text['text']} [MASK]"} for text in TEXTS],
}


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    os.environ |= {"PYTHONPATH": os.pathsep.join(sys.path), "PYSPARK_PYTHON": sys.executable}
    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    yield session
    session.stop()


@pytest.mark.parametrize("name", ROWS)
def test_answers_are_those_of_predict(name: str, spark: Any, tmp_path: Path) -> None:
    from pyspark.sql.functions import struct

    model, rows = write_model(name, tmp_path), ROWS[name]
    frame = spark.createDataFrame(rows)
    answer = spark_udf(model, framework="pt")(struct(*frame.columns))
    answers = [row["answer"].asDict(recursive=True) for row in frame.select(answer.alias("answer")).collect()]
    expected = json.dumps(list(predict(model, rows=rows, framework="pt")))
    near = json.loads(expected, parse_float=lambda number: pytest.approx(float(number), rel=1e-5))  # other threads add
    assert [row | answer for row, answer in zip(rows, answers, strict=True)] == near


def test_a_model_without_a_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name one of text-classification"):
        spark_udf(write_model("base", tmp_path))


REFUSED = {
    "no struct": ("three", TEXTS, 'answer(struct("text"))'),
    "null": ("three", [{"text": "a"}, {"text": None}], "partition 0, row 2, column 'text': there is no text"),
    "two masks": ("mlm", [{"text": "[MASK] [MASK]"}], "partition 0, row 1: the text has 2 masks"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_row_that_cannot_be_used_ends_the_job_with_its_reason(kind: str, spark: Any, tmp_path: Path) -> None:
    from pyspark.errors import PythonException
    from pyspark.sql.functions import struct

    name, rows, reason = REFUSED[kind]
    answer = spark_udf(write_model(name, tmp_path), framework="pt")
    column = answer("text" if kind == "no struct" else struct("text"))
    with pytest.raises(PythonException) as caught:
        spark.createDataFrame(rows).select(column).collect()
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [("three", {"top_k": 2}), ("mlm", {"top_k": 1}), ("entities", {"aggregation_strategy": "none"})],
)
def test_options_that_change_the_columns_of_an_answer_are_refused(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"other columns then than .*; leave it out"):
        spark_udf(write_model(name, tmp_path), **options)
