"""Requests that cannot be served: each gets a status and a sentence, and the next request is served."""

from __future__ import annotations

import gzip
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from distilbert_deploy.server import Settings, create_app
from distilbert_deploy.server.logs import ACCESS, configure_logging
from parity_tests.helpers.small_tasks import DEMO, small_model

JSON = {"content-type": "application/json"}
LABELS = {"contradiction": 0, "entailment": 1}
DEEP = b"[" * 100_000
DEEP_OBJECT = b'{"inputs":' * 20_000


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    settings = Settings(model=str(DEMO / "model"), warm_up=False, max_body=200_000, max_items=16, max_tokens=512)
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture(autouse=True)
def still_serves(client: TestClient) -> Iterator[None]:
    yield
    assert client.post("/predict", json={"inputs": "I lost my card"}).status_code == 200


def refused(response: Any) -> tuple[int, str]:
    """Return the status and the kind of an answer that says no."""
    answer = response.json()
    assert answer.keys() == {"error", "error_type"}
    assert answer["error"]
    assert "Traceback" not in answer["error"]
    return response.status_code, answer["error_type"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"  \n", 400),
        (b"I lost my card", 400),
        (b'{"inputs": "I lost', 400),
        (b'{"inputs": "\xff\xfe"}', 400),
        ("\ufeff{".encode("utf-16"), 400),
        (b'{"inputs": NaN}', 400),
        (b'{"inputs": "a", "parameters": {"top_k": Infinity}}', 400),
        (b"1" * 5000, 400),
        (DEEP, 400),
        (DEEP_OBJECT, 400),
        (b"null", 422),
        (b"true", 422),
        (b"{}", 422),
        (b"[]", 422),
        (b'""', 422),
        (b'{"inputs": " \\n"}', 422),
        (b'{"inputs": ["a", ""]}', 422),
        (b'{"inputs": ["a", 1]}', 422),
        (b'{"inputs": [["a", "b"]]}', 422),
        (b'{"inputs": {"text": null}}', 422),
        (b'{"inputs": {"text": "a", "colour": 1}}', 422),
        (b'{"inputs": {"question": "a", "context": "b"}}', 422),
        (b'{"inputs": "\\ud800"}', 422),
        (b'{"inputs": "a", "instances": ["a"]}', 422),
        (b'{"inputs": "a", "parameter": {}}', 422),
        (b'{"instances": "a"}', 422),
        (b'{"inputs": "a", "parameters": []}', 422),
        (b'{"inputs": "a", "parameters": {"top_k": 0}}', 422),
        (b'{"inputs": "a", "parameters": {"top_k": true}}', 422),
        (b'{"inputs": "a", "parameters": {"top_k": 1e99}}', 422),
        (b'{"inputs": "a", "parameters": {"padding": "max_length"}}', 422),
        (b'{"inputs": "a", "parameters": {"function_to_apply": "tanh"}}', 422),
        (json.dumps({"inputs": ["a"] * 17}).encode(), 422),
        (json.dumps({"inputs": ["card " * 60] * 16}).encode(), 413),
        (json.dumps({"inputs": "a" * 100_000}).encode(), 413),
        (b'"' + b"a" * 200_001 + b'"', 413),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_a_bad_body_gets_a_sentence(client: TestClient, body: bytes, status: int) -> None:
    kinds = {400: "bad_request", 422: "validation", 413: "too_large"}
    assert refused(client.post("/predict", content=body, headers=JSON)) == (status, kinds[status])


NPY = b"\x93NUMPY\x01\x00"
HEADER = b"{'descr': %s, 'fortran_order': False, 'shape': (%d,), }\n"


def npy(descr: bytes, count: int, content: bytes) -> bytes:
    """Return a file of NumPy's with a header that need not be true."""
    header = HEADER % (descr, count)
    return NPY + len(header).to_bytes(2, "little") + header + content


CSV, LINES, ARRAY = "text/csv", "application/jsonlines", "application/x-npy"
BAD_BODIES = {
    (CSV, 400): [b"", b"\xef\xbb\xbf", b"inputs\n\xff", b'inputs\n"a', b'inputs\n"a"b'],
    (CSV, 413): [b"inputs\n" + b"a" * 150_000],
    (CSV, 422): [
        b"inputs", b"I lost my card", b"text,text\na,b", b"text,colour\na,b", b"text_pair\na", b"text,text_pair\na",
        b"inputs\n" + b"a\n" * 90_000,
    ],
    (LINES, 400): [b'"a"\n{"b'],
    (LINES, 422): [b'"a"\n[1]', b'"a"\n' * 40_000],
    (ARRAY, 400): [
        b"", NPY + b"\xff\xff" + b"(" * 65_535, npy(b"'<U1'", 2, b"a\0\0\0"), npy(b"'<U1'", 1, b"\0\0\0\x7f"),
        npy(b"'|S1'", 1, b"\xff"), npy(b"'|S1'", -1, b""),
    ],
    (ARRAY, 422): [
        npy(b"'|S0'", 10**15, b""), npy(b"'|S1'", 10**15, b"a"), npy(b"'|O'", 1, b"cos\nsystem\n(S'true'\ntR."),
        npy(b"'<i8'", 1, b"\0" * 8), npy(b"'|S1'", 0, b""),
    ],
}  # fmt: skip
"""By type, and the status that they get."""


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [(kind, body, status) for (kind, status), bodies in BAD_BODIES.items() for body in bodies],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_a_bad_body_of_another_type_gets_a_sentence(client: TestClient, kind: str, body: bytes, status: int) -> None:
    assert refused(client.post("/invocations", content=body, headers={"content-type": kind}))[0] == status


def test_what_is_not_taken(client: TestClient) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert refused(client.post("/predict", content=b"a=b", headers=form)) == (415, "unsupported_media_type")
    deflated = {**JSON, "content-encoding": "br"}
    assert refused(client.post("/predict", content=b"x", headers=deflated)) == (415, "unsupported_media_type")
    assert refused(client.post("/predict", json="a", headers={"accept": "text/html"})) == (406, "not_acceptable")
    assert refused(client.post("/predict", json="a", headers={"accept": "*/*;q=0"})) == (406, "not_acceptable")
    assert refused(client.get("/predict")) == (405, "method_not_allowed")
    assert refused(client.put("/health")) == (405, "method_not_allowed")
    assert refused(client.get("/nowhere")) == (404, "not_found")
    assert client.post("/predict", json="a card", headers={"accept": "text/html, */*;q=0.1"}).status_code == 200


def test_gzip_within_the_limit(client: TestClient) -> None:
    headers = {**JSON, "content-encoding": "gzip"}
    good = gzip.compress(b'{"inputs": "I lost my card"}')
    answer = client.post("/predict", content=good, headers=headers).json()
    assert answer[0]["label"] == "lost_or_stolen_card"
    bomb = gzip.compress(b'"' + b"a" * 50_000_000 + b'"')
    assert len(bomb) < 100_000
    assert refused(client.post("/predict", content=bomb, headers=headers))[0] == 413
    for broken in (good[:-4], good + b"more", b"no gzip"):
        assert refused(client.post("/predict", content=broken, headers=headers))[0] == 400


def test_a_body_in_chunks_is_limited_as_it_comes(client: TestClient) -> None:
    chunks = (b"x" * 10_000 for _ in range(1000))
    assert refused(client.post("/predict", content=chunks, headers=JSON))[0] == 413


def test_errors_of_other_tasks(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("models")
    cases: dict[tuple[str, str], list[tuple[dict[str, Any], int]]] = {
        ("question-answering", "ForQuestionAnswering"): [
            ({"inputs": "a text"}, 422),
            ({"inputs": {"question": "", "context": "a"}}, 422),
            ({"inputs": {"question": "a", "context": "b"}, "parameters": {"max_seq_len": 4000}}, 422),
            ({"inputs": {"question": "a", "context": "b"}, "parameters": {"doc_stride": 60}}, 422),
            ({"inputs": {"question": "a", "context": "card " * 40_000}}, 413),
        ],
        ("fill-mask", "ForMaskedLM"): [
            ({"inputs": "no mask"}, 422),
            ({"inputs": "[MASK] " * 60, "parameters": {"top_k": 100}}, 422),
            ({"inputs": "[MASK]", "parameters": {"targets": []}}, 422),
        ],
        ("zero-shot-classification", "ForSequenceClassification"): [
            ({"inputs": "a"}, 422),
            ({"inputs": "a", "parameters": {"candidate_labels": ["x"] * 101}}, 422),
            ({"inputs": "a", "parameters": {"candidate_labels": ",".join("x" * 200)}}, 422),
            ({"inputs": "a", "parameters": {"candidate_labels": ["x"], "hypothesis_template": "{0.__class__}"}}, 422),
            ({"inputs": "a", "parameters": {"candidate_labels": ["x"], "hypothesis_template": "{:>999999999}"}}, 422),
        ],
        ("multiple-choice", "ForMultipleChoice"): [
            ({"inputs": {"prompt": "a", "choices": []}}, 422),
            ({"inputs": {"prompt": "a", "choices": "b"}}, 422),
            ({"inputs": {"prompt": "a " * 20_000, "choices": ["b"] * 100}}, 413),
        ],
        ("token-classification", "ForTokenClassification"): [
            ({"inputs": "a", "parameters": {"stride": 62, "aggregation_strategy": "simple"}}, 422),
            ({"inputs": "a", "parameters": {"stride": 8, "aggregation_strategy": "none"}}, 422),
        ],
        ("feature-extraction", "Model"): [({"inputs": ["card " * 60] * 100}, 413)],
    }
    for (task, head), requests in cases.items():
        fields: dict[str, Any] = {"dim": 768, "n_heads": 12} if task == "feature-extraction" else {}
        if task == "zero-shot-classification":
            fields = {"id2label": {0: "contradiction", 1: "entailment"}, "label2id": LABELS}
        small_model(folder / task, head, **fields)
        settings = Settings(model=str(folder / task), task=task, warm_up=False)
        with TestClient(create_app(settings)) as client:
            for body, status in requests:
                response = client.post("/predict", json=body)
                assert (refused(response)[0], body) == (status, body), response.text


def test_without_the_token_nothing_but_health_answers() -> None:
    settings = Settings(model=str(DEMO / "model"), warm_up=False, token="s3cret")
    with TestClient(create_app(settings)) as client:
        for path in ("/health", "/ready", "/ping"):
            assert client.get(path).status_code == 200
        for method, path in (("GET", "/"), ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/info")):
            assert refused(client.request(method, path)) == (401, "unauthorized")
        for authorization in ("", "Bearer", "Bearer wrong", "Bearer s3cre", "Basic czNjcmV0", "Bearer \xff", "s3cret"):
            headers = {"authorization": authorization.encode("latin-1")}
            assert refused(client.post("/predict", json="a", headers=headers)) == (401, "unauthorized")
            assert refused(client.get("/nowhere", headers=headers))[0] == 401
        assert client.post("/predict", json="a", headers={"authorization": "bearer s3cret"}).status_code == 200
        assert client.get("/", auth=("anyone", "s3cret")).status_code == 200
        assert "s3cret" not in client.get("/info", headers={"authorization": "Bearer s3cret"}).text


def test_logs_have_a_line_for_each_request_and_no_text_of_it(
    client: TestClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    try:
        configure_logging("json")
        warnings.showwarning(UserWarning("a sentence"), UserWarning, "file.py", 1)
        client.post("/predict", json={"inputs": "my secret number is 4711"}, headers={"x-request-id": "r1"})
        client.post("/predict", json={"inputs": ["my secret number is 4711", 5]})
        client.post("/predict", json={"inputs": "my secret", "parameters": {"top_k": "4711"}})
        client.get("/health")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        root.handlers[:], root.level = before, level
        logging.captureWarnings(False)
        ACCESS.parent.setLevel(logging.NOTSET) if ACCESS.parent is not None else None
    assert lines.pop(0)["message"] == "a sentence"
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/predict", 200),
        ("/predict", 422),
        ("/predict", 422),
    ]
    assert {"request_id", "ms", "items", "tokens", "queue_ms", "compute_ms"} <= lines[0].keys()
    assert lines[0]["request_id"] == "r1"
    assert not any(word in json.dumps(lines) for word in ("secret", "4711"))
