"""What a server does under load: a bounded queue, deadlines, draining, clients that go away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient

from distilbert_deploy.server import Settings, create_app
from distilbert_deploy.server.app import Application
from distilbert_deploy.server.failures import RequestFailure
from distilbert_deploy.server.lifecycle import Lifecycle, State
from distilbert_deploy.server.loading import load_model
from distilbert_deploy.server.model import ServedModel
from parity_tests.helpers.small_tasks import DEMO


class Gate:
    """Holds the model's computation back until it is opened."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def load(self, settings: Settings) -> ServedModel:
        model = load_model(settings)
        compute = model.compute

        def held(lists: Sequence[Sequence[int]]) -> list[Any]:
            self.entered.set()
            assert self.opened.wait(60)
            return compute(lists)

        model.compute = held  # type: ignore[method-assign]
        return model


@contextmanager
def serving(**settings: Any) -> Iterator[tuple[Application, TestClient, Gate, Callable[[], Future[Any]]]]:
    """Run a server whose model waits at a gate; the last value sends a request in a thread."""
    gate = Gate()
    app = create_app(Settings(model=str(DEMO / "model"), warm_up=False, **settings), gate.load)
    with TestClient(app) as client, ThreadPoolExecutor(8) as threads:
        try:
            yield app, client, gate, lambda: threads.submit(client.post, "/predict", json={"inputs": "I lost my card"})
        finally:
            gate.opened.set()


def test_a_full_queue_refuses_and_recovers() -> None:
    with serving(max_queue=2) as (app, client, gate, send):
        accepted = [send()]
        assert gate.entered.wait(30)
        accepted.append(send())
        while app.lifecycle.accepted < 2:
            pass
        refused = client.post("/predict", json={"inputs": "one too many"})
        assert (refused.status_code, refused.json()["error_type"]) == (429, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert "distilbert_requests_in_progress 2.0" in client.get("/metrics").text
        assert client.get("/ping").status_code == 200
        gate.opened.set()
        assert [one.result(30).status_code for one in accepted] == [200, 200]
        assert client.post("/predict", json={"inputs": "again"}).status_code == 200
        assert app.lifecycle.accepted == 0


def test_a_request_past_its_deadline_is_given_up() -> None:
    with serving(timeout=0.2) as (app, client, gate, _):
        late = client.post("/predict", json={"inputs": "a card"})
        assert (late.status_code, late.json()["error_type"]) == (504, "timeout")
        assert app.lifecycle.accepted == 0
        gate.opened.set()


def test_draining_answers_what_was_accepted_and_refuses_the_rest() -> None:
    with serving() as (app, client, gate, send):
        accepted = send()
        assert gate.entered.wait(30)
        app.lifecycle.state = State.DRAINING
        assert client.get("/ready").status_code == 503
        assert client.get("/ping").status_code == 503
        assert client.get("/health").json() == {"status": "draining"}
        on_its_way = send()
        while app.lifecycle.accepted < 2:
            pass
        app.lifecycle.state = State.CLOSING
        refused = client.post("/predict", json={"inputs": "too late"})
        assert (refused.status_code, refused.json()["error_type"]) == (503, "unhealthy")
        assert refused.headers["connection"] == "close"
        gate.opened.set()
        assert [one.result(30).status_code for one in (accepted, on_its_way)] == [200, 200]
        assert accepted.result().headers["connection"] == "close"


def test_a_model_that_fails_gives_500_and_serves_on(caplog: pytest.LogCaptureFixture) -> None:
    broken = threading.Event()

    def load(settings: Settings) -> ServedModel:
        model = load_model(settings)
        compute = model.compute

        def failing(lists: Sequence[Sequence[int]]) -> list[Any]:
            if broken.is_set():
                raise MemoryError("out of memory")
            return compute(lists)

        model.compute = failing  # type: ignore[method-assign]
        return model

    with TestClient(create_app(Settings(model=str(DEMO / "model"), warm_up=False), load)) as client:
        broken.set()
        failed = client.post("/predict", json={"inputs": "a card"})
        assert (failed.status_code, failed.json()["error_type"]) == (500, "backend")
        assert "out of memory" not in failed.text
        broken.clear()
        assert client.post("/predict", json={"inputs": "a card"}).status_code == 200
    assert "out of memory" in caplog.text


def test_what_requests_hold_is_bounded_and_let_go_of() -> None:
    lifecycle = Lifecycle(max_queue=1, max_bytes=100)
    with lifecycle.reserving() as reserve:
        reserve(60)
        with lifecycle.reserving() as reserve_more:
            reserve_more(30)
            with pytest.raises(RequestFailure) as refused:
                reserve_more(30)
        assert refused.value.status == 429
        reserve(40)
    with lifecycle.reserving() as reserve:
        reserve(100)


def test_requests_of_many_clients_share_batches() -> None:
    with serving() as (_, client, gate, send):
        waiting = [send()]
        assert gate.entered.wait(30)
        waiting += [send() for _ in range(7)]
        while "distilbert_requests_in_progress 8.0" not in client.get("/metrics").text:
            pass
        gate.opened.set()
        answers = [one.result(30).json() for one in waiting]
        assert {answer[0]["label"] for answer in answers} == {"lost_or_stolen_card"}
        text = client.get("/metrics").text
        assert "distilbert_batch_requests_count 2.0" in text
        assert "distilbert_batch_requests_sum 8.0" in text
