"""Prediction in Spark, in a cluster of this machine alone."""

from __future__ import annotations

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
    expected = predict(model, rows=rows, framework="pt")
    assert [row | answer for row, answer in zip(rows, answers, strict=True)] == list(expected)


def test_a_model_without_a_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name one of text-classification"):
        spark_udf(write_model("base", tmp_path))
