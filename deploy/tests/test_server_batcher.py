"""The batcher: what it computes together, in which order, and what becomes of failures."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from distilbert_deploy.server.batcher import Batcher, BatchFacts, Work


class Model:
    """A model whose output is its input; it waits until it is released, and fails on 13."""

    def __init__(self) -> None:
        self.calls: list[list[Sequence[int]]] = []
        self.entered, self.released = threading.Event(), threading.Event()

    def __call__(self, lists: Sequence[Sequence[int]]) -> list[Any]:
        self.calls.append(list(lists))
        self.entered.set()
        assert self.released.wait(30)
        if any(13 in one for one in lists):
            raise ValueError("13")
        return list(lists)


def submit(batcher: Batcher, lists: list[list[int]]) -> tuple[Work, threading.Event]:
    done = threading.Event()
    work = Work(lists, on_done=lambda work: done.set())
    batcher.submit(work)
    return work, done


@pytest.fixture
def model() -> Model:
    return Model()


def started(model: Model, batches: list[BatchFacts] | None = None) -> Batcher:
    """Return a batcher that computes a first request, behind which others gather."""
    batcher = Batcher(model, 10, None if batches is None else batches.append)
    submit(batcher, [[0]])
    assert model.entered.wait(30)
    return batcher


def test_what_waits_is_computed_together_in_order_of_arrival_up_to_the_budget(model: Model) -> None:
    batches: list[BatchFacts] = []
    batcher = started(model, batches)
    works = [submit(batcher, [[number] * 4]) for number in range(1, 6)]
    model.released.set()
    assert all(done.wait(30) for _, done in works)
    batcher.close()
    assert [[one[0] for one in call] for call in model.calls] == [[0], [1, 2], [3, 4], [5]]
    assert [work.outputs for work, _ in works] == [[[number] * 4] for number in range(1, 6)]
    assert [(batch.requests, batch.tokens) for batch in batches] == [(1, 1), (2, 8), (2, 8), (1, 4)]
    assert all(work.arrived <= work.started <= work.finished for work, _ in works)


def test_a_large_request_takes_turns_with_those_behind_it(model: Model) -> None:
    batcher = started(model)
    large, large_done = submit(batcher, [[number] * 6 for number in range(1, 5)])
    _, small_done = submit(batcher, [[9]])
    model.released.set()
    assert large_done.wait(30)
    assert small_done.wait(30)
    batcher.close()
    assert [[one[0] for one in call] for call in model.calls] == [[0], [1], [9, 2], [3], [4]]
    assert large.outputs == [[number] * 6 for number in range(1, 5)]


def test_a_list_longer_than_the_budget_is_computed_by_itself(model: Model) -> None:
    batcher = started(model)
    _, done = submit(batcher, [[1] * 50])
    submit(batcher, [[2]])
    model.released.set()
    assert done.wait(30)
    batcher.close()
    assert [len(call[0]) for call in model.calls] == [1, 50, 1]


def test_a_request_that_fails_fails_alone(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    batcher = started(model)
    works = [submit(batcher, [[number]]) for number in (12, 13, 14)]
    model.released.set()
    assert all(done.wait(30) for _, done in works)
    batcher.close()
    assert [str(work.error) if work.error else work.outputs for work, _ in works] == [[[12]], "13", [[14]]]
    assert "a batch of 3 requests failed" in caplog.text


def test_nothing_is_computed_for_a_request_that_nobody_waits_for(model: Model) -> None:
    batcher = started(model)
    work, done = submit(batcher, [[1]])
    _, other = submit(batcher, [[2]])
    work.is_cancelled = True
    model.released.set()
    assert other.wait(30)
    batcher.close()
    assert (model.calls, done.is_set()) == ([[[0]], [[2]]], False)
