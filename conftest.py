"""What holds for every test: no network, the CPU, quiet frameworks, and no test that is skipped.

What a machine may lack is no fault: `@pytest.mark.requires("procfs")` leaves a test out where `machine.CAPABILITIES`
says that it is absent, and the summary says why. A skip is another thing, such as a missing framework, and fails.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distilbert_common.constants import FAST_SWITCH
from parity_tests.helpers.compilation import FAST_ENVIRONMENT, graphs_as_traced, optimized_compilation
from parity_tests.helpers.machine import CAPABILITIES, drop_programs, has, memory_in_bytes

os.environ.update(
    FAST_ENVIRONMENT,
    HF_HUB_OFFLINE="1",
    JAX_COMPILATION_CACHE_DIR=str(Path(__file__).parent / ".pytest_cache" / "jax"),  # shared by workers, and kept
    JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
    JAX_PLATFORMS="cpu",
    KERAS_BACKEND="tensorflow",
    OMP_WAIT_POLICY="PASSIVE",  # a thread of PyTorch that waits leaves its core to the other worker
    TF_CPP_MIN_LOG_LEVEL="2",
    TORCHINDUCTOR_COMPILE_THREADS="1",  # more are processes that each import PyTorch
)

MAX_GROWTH = 400 * 2**20
"""How many bytes a worker may grow by before it drops compiled programs."""

_skipped: list[str] = []
_deselected: dict[str, str] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line("markers", "requires(name): the test needs what machine.CAPABILITIES has under this name")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests whose subject this machine does not have."""
    for item in items:
        absent = [mark.args[0] for mark in item.iter_markers("requires") if not has(mark.args[0])]
        if absent:
            _deselected[item.nodeid] = CAPABILITIES[absent[0]][1]
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in _deselected])
    items[:] = [item for item in items if item.nodeid not in _deselected]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave what is imported by now out of the search for garbage.

    Among the objects of three frameworks it takes half a second, and Keras asks for it at each layer that it quantizes.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker left out."""
    _deselected.update(getattr(node, "workeroutput", {}).get("deselected", {}))  # a worker that crashed has none


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember each skipped test and each expected failure."""
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember each skipped module."""
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that skipped something: a missing framework must not look like success."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["deselected"] = _deselected
    if _skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out and what was skipped."""
    for nodeid, reason in sorted(_deselected.items()):
        terminalreporter.write_line(f"LEFT OUT on this machine: {nodeid}: {reason}", yellow=True)
    for nodeid in _skipped:
        terminalreporter.write_line(f"SKIPPED, which counts as failed: {nodeid}", red=True)


@pytest.fixture(autouse=True, scope="session")
def memory_in_use() -> dict[str, int]:
    """The memory that this worker held when programs were last dropped."""
    return {"bytes": memory_in_bytes()[1]}


@pytest.fixture(autouse=True)
def bounded_memory(memory_in_use: dict[str, int]) -> Iterator[None]:
    """Drop what was compiled once it takes much memory: what one test compiled, hardly any other needs."""
    yield
    if memory_in_bytes()[1] > memory_in_use["bytes"] + MAX_GROWTH:
        drop_programs()
        memory_in_use["bytes"] = memory_in_bytes()[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the project."""
    return Path(__file__).resolve().parent


@pytest.fixture(autouse=True, scope="session")
def trace_only() -> Iterator[None]:
    """Most tests trace much and run little."""
    with graphs_as_traced():
        yield


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Steps of small models are faster on one thread of PyTorch: two wait for each other after each product."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def optimized_programs() -> Iterator[None]:
    """Tests of what users run: programs of JAX and graphs of TensorFlow that are optimized as ours are not."""
    with optimized_compilation():
        yield


@pytest.fixture(params=["1", "0"], ids=["fast", "plain"])
def fast_and_plain(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test twice: with everything that is only there to be fast ("1"), and without it ("0")."""
    monkeypatch.setenv(FAST_SWITCH, request.param)
