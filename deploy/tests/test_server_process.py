"""`distilbert serve` as a process: signals, killed workers, clients that do not keep to HTTP."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from parity_tests.helpers.server_process import PATIENCE, Loader, ServerProcess, raw, server
from parity_tests.helpers.small_tasks import DEMO

MODEL = DEMO / "model"
POST = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
GOOD = b'{"inputs": "I lost my card"}'


@pytest.fixture(scope="module")
def impatient() -> Iterator[ServerProcess]:
    """A server that gives slow clients half a second."""
    with server(MODEL, "--body-timeout", "0.5", "--no-warm-up") as running:
        yield running


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 100_000, b"400"),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (POST + b"content-length: 1\r\ncontent-length: 2\r\n\r\n", b"400"),
        (POST + b"content-length: -1\r\n\r\n", b"400"),
        (POST + b"content-length: 99999999999999999999\r\n\r\n", b"4"),
        (POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (POST + b"content-length: 3000000\r\n\r\n", b"413"),
        (POST + b"content-length: 1000\r\n\r\n" + GOOD, b"408"),
        (POST + b"transfer-encoding: chunked\r\n\r\n5\r\n[1,2,\r\n", b"408"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n", b"200"),
    ],
    ids=lambda value: value[:60].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_what_is_no_good_request_gets_a_status_and_is_closed(
    impatient: ServerProcess, content: bytes, status: bytes
) -> None:
    answer = raw(impatient.port, content)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert impatient.send("POST", "/predict", {"inputs": "I lost my card"})[0] == 200


@pytest.mark.parametrize("content", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\nslow: "])
def test_headers_that_never_end_are_not_waited_for(impatient: ServerProcess, content: bytes) -> None:
    assert raw(impatient.port, content) == b""


def test_a_client_that_sends_byte_by_byte_gets_408(impatient: ServerProcess) -> None:
    received = b""
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=PATIENCE) as connection:
        connection.sendall(POST + b"content-length: 100000\r\n\r\n")
        connection.settimeout(0.02)
        deadline = time.monotonic() + PATIENCE
        while not received and time.monotonic() < deadline:
            try:
                connection.sendall(b" ")
                received = connection.recv(1000)
            except TimeoutError:
                continue
    assert received.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("sent_before", [0, 40, len(POST) + 22], ids=["nothing", "part of the headers", "the headers"])
def test_what_came_while_the_server_was_held_up_is_answered(impatient: ServerProcess, sent_before: int) -> None:
    content = POST + b"content-length: %d\r\n\r\n%s" % (len(GOOD), GOOD)
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=PATIENCE) as connection:
        connection.sendall(content[:sent_before])
        time.sleep(0.1)  # the client's time runs
        os.kill(impatient.process.pid, signal.SIGSTOP)
        try:
            connection.sendall(content[sent_before:])
            time.sleep(0.6)
        finally:
            os.kill(impatient.process.pid, signal.SIGCONT)
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_a_client_that_is_refused_while_it_sends_reads_why(impatient: ServerProcess) -> None:
    assert raw(impatient.port, b"GET /" + b"a" * 20_000_000).startswith(b"HTTP/1.1 400")


def test_a_client_that_does_not_take_its_answers_is_let_go(impatient: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        request = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
        with pytest.raises(ConnectionError):  # its answers fill all buffers, and then it is closed
            connection.sendall(request * 1_000_000)
    assert impatient.get("/ready")[0] == 200


def test_sigterm_under_load_loses_no_request_that_was_sent_before() -> None:
    with server(MODEL) as running:
        loaders = [Loader(running.port) for _ in range(8)]
        threads = [threading.Thread(target=loader.run) for loader in loaders]
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        while time.monotonic() < begun + 0.5 or sum(len(loader.outcomes) for loader in loaders) < 40:
            assert running.process.poll() is None
        told = time.monotonic()
        assert running.stop() == 0
        for thread in threads:
            thread.join(PATIENCE)
        outcomes = [outcome for loader in loaders for outcome in loader.outcomes]
        assert {status for sent, status in outcomes if sent < told - 0.1} == {200}
        assert {status for sent, status in outcomes if sent < told} <= {200, 503}  # refused at most, never lost


def test_what_a_killed_worker_had_gets_503_and_another_takes_its_place() -> None:
    with server(MODEL, "--no-warm-up", workers=2) as running:
        first = {line["process"] for line in running.read("ready", 2)}
        victim = first.pop()
        os.kill(victim, signal.SIGSTOP)  # so that it surely has requests when it is killed
        loaders = [Loader(running.port, pause=0.05) for _ in range(4)]
        threads = [threading.Thread(target=loader.run) for loader in loaders]
        for thread in threads:
            thread.start()
        while sum(len(loader.outcomes) for loader in loaders) < 10:
            assert running.process.poll() is None
        os.kill(victim, signal.SIGKILL)
        assert str(victim) in running.read("is replaced")[0]["message"]
        replacement = running.read("ready", 3)[2]["process"]
        assert replacement not in (victim, *first)
        before = sum(len(loader.outcomes) for loader in loaders)
        while sum(len(loader.outcomes) for loader in loaders) < before + 20:
            assert running.process.poll() is None
        assert b"distilbert_workers_ready 2.0" in running.get("/metrics")[1]
        told = time.monotonic()
        assert running.stop() == 0
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        outcomes = [outcome for loader in loaders for outcome in loader.outcomes]
        assert {status for sent, status in outcomes if sent < told - 0.1} == {200, 503}
        assert not any(os.path.exists(f"/proc/{pid}") for pid in (replacement, *first))
