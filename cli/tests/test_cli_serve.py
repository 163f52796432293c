from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from distilbert_common.errors import InputError
from distilbert_deploy import server
from distilbert_deploy.server import Settings
from distilbert_deploy.server.environment import model_from_environment, settings_from_environment
from parity_tests.helpers.command_line import run
from parity_tests.helpers.small_tasks import DEMO

MODEL = str(DEMO / "model")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that servers were started with, which serve nothing."""
    settings: list[Settings] = []
    monkeypatch.setattr(server, "serve", lambda one: settings.append(one) or 0)
    return settings


def serve(*arguments: object, **environment: str) -> tuple[int, str]:
    ended = run("serve", *arguments, environment=environment)
    return ended.exit_code, ended.stderr


def test_options_become_settings(told: list[Settings], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    status, errors = serve(
        MODEL, "--port", 0, "--workers", 2, "--max-queue", 5, "--no-page", "--no-truncate", "--grace", 0,
        "--token-file", tmp_path / "token", "--log-format", "text", "--no-warm-up",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    (settings,) = told
    assert (settings.model, settings.port, settings.workers, settings.max_queue) == (MODEL, 0, 2, 5)
    assert (settings.page, settings.truncate, settings.grace, settings.warm_up) == (False, False, 0, False)
    assert settings.token == "s3cret"
    assert "s3cret" not in repr(settings)


def test_a_container_says_where_and_what(told: list[Settings]) -> None:
    status, errors = serve(
        HF_MODEL_ID=MODEL, HF_TASK="text-classification", AIP_HTTP_PORT="9000", AIP_HEALTH_ROUTE="/live",
        AIP_PREDICT_ROUTE="/v1/predict", SAGEMAKER_MAX_PAYLOAD_IN_MB="6", DISTILBERT_SERVE_TOKEN="t",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    (settings,) = told
    assert (settings.model, settings.task, settings.host, settings.port) == (
        MODEL, "text-classification", "0.0.0.0", 9000,
    )  # fmt: skip
    assert (settings.health_route, settings.predict_route) == ("/live", "/v1/predict")
    assert (settings.max_body, settings.token) == (6_000_000, "t")
    serve(MODEL, "--port", 1234, AIP_HTTP_PORT="9000")
    assert told[1].port == 1234  # an option goes before a variable


def test_the_directory_that_sagemaker_fills(tmp_path: Path) -> None:
    assert model_from_environment({"SM_MODEL_DIR": MODEL}) == MODEL
    with pytest.raises(InputError, match="holds none"):
        model_from_environment({"SM_MODEL_DIR": str(tmp_path)})
    with pytest.raises(InputError, match="gs://bucket"):
        model_from_environment({"SM_MODEL_DIR": str(tmp_path), "AIP_STORAGE_URI": "gs://bucket"})
    assert settings_from_environment({"AIP_HTTP_PORT": ""})["host"] == "0.0.0.0"
    assert settings_from_environment({"HF_TASK": "ner"}) == {"task": "ner"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--port", 70000], "--port is 70000"),
        (["--workers", 0], "--workers is 0; expected at least 1"),
        (["--timeout", 0], "--timeout is 0"),
        (["--timeout", "nan"], "--timeout is nan"),
        (["--grace", -1], "--grace is -1"),
        (["--backend", "mxnet"], "choose from pt, tf, flax, onnx"),
        (["--log-format", "xml"], "choose from json, text"),
        (["--token", "two words"], "the token has spaces"),
        (["--token", "a", "--token-file", "b"], "give one of them"),
        (["--token-file", "/no/such/file"], "cannot be read"),
        (["--max-length", "1"], "expected at least 3"),
        (["--task", "translation", "--port", 0], "translation"),
        (["--host", "no.such.host.invalid", "--port", 0], "cannot be used"),
    ],
)
def test_an_option_that_cannot_be_used_is_said(options: list[Any], sentence: str) -> None:
    status, errors = serve(MODEL, *options)
    assert status == 2
    assert sentence in errors
    assert "Traceback" not in errors


def test_a_variable_that_is_no_number_is_said() -> None:
    status, errors = serve(MODEL, AIP_HTTP_PORT="http")
    assert (status, "AIP_HTTP_PORT is 'http'" in errors) == (2, True)


def test_a_port_that_is_taken_and_a_model_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, errors = serve(MODEL, "--port", port)
    assert (status, f"port {port} of '127.0.0.1' cannot be used" in errors) == (2, True)
    status, errors = serve("/no/such/model", "--port", 0, "--log-format", "text")
    assert (status, "/no/such/model" in errors) == (2, True)
