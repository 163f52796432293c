"""The same answers from every backend: loaded in one thread, warmed up, and computed in another."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from distilbert_common.errors import CheckpointNotFoundError, InputError
from distilbert_deploy import export
from distilbert_deploy.server import Settings, create_app
from distilbert_deploy.server.loading import load_model
from distilbert_tasks import pipeline
from parity_tests.helpers.small_tasks import DEMO, small_model


@pytest.fixture(scope="module")
def texts() -> list[str]:
    with (DEMO / "data" / "banking77_test.csv").open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)][:12]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "onnx"
    export(DEMO / "model", folder)
    return folder


@pytest.fixture(scope="module")
def expected(texts: list[str]) -> list[dict[str, float]]:
    results: list[dict[str, float]] = pipeline("text-classification", DEMO / "model")(texts, truncation=True)
    return results


@pytest.mark.parametrize("backend", ["pt", "tf", "flax", "onnx"])
def test_every_backend_gives_the_same_answers(
    backend: str, texts: list[str], expected: list[dict[str, float]], exported: Path
) -> None:
    model = exported if backend == "onnx" else DEMO / "model"
    settings = Settings(model=str(model), backend="" if backend == "onnx" else backend, tokens_per_batch=64)
    with TestClient(create_app(settings)) as client:
        assert client.get("/info").json()["backend"] == backend
        answers = client.post("/predict", json={"inputs": texts}).json()
        answers += client.post("/predict", json={"inputs": texts[0]}).json()
    assert [one["label"] for one in answers] == [one["label"] for one in [*expected, expected[0]]]
    scores, reference = ([one["score"] for one in some] for some in (answers, [*expected, expected[0]]))
    assert np.allclose(scores, reference, atol=1e-4)


def test_a_model_without_the_head_of_the_task_is_not_served(tmp_path: Path) -> None:
    bare = small_model(tmp_path / "bare")
    with pytest.warns(UserWarning, match="the head is new"), pytest.raises(InputError, match="has no head for"):
        load_model(Settings(model=str(bare), task="text-classification"))
    with pytest.raises(InputError, match="which has no pipeline"):
        load_model(Settings(model=str(bare), task="translation"))
    with pytest.raises(CheckpointNotFoundError, match=r"no onnx/model\.onnx"):
        load_model(Settings(model=str(bare), backend="onnx"))
