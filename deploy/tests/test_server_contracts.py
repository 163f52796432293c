"""The JSON of every task in every contract, and that an answer is what the pipeline gives."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from distilbert_deploy.server import Settings, create_app
from distilbert_deploy.server.tasks import CONTRACTS
from distilbert_tasks import pipeline
from parity_tests.helpers.small_tasks import DEMO, small_model

HEADS = {
    "text-classification": ("ForSequenceClassification", {"id2label": {0: "no", 1: "yes", 2: "maybe"}}),
    "token-classification": ("ForTokenClassification", {"id2label": {0: "O", 1: "B-PER", 2: "I-PER"}}),
    "question-answering": ("ForQuestionAnswering", {}),
    "fill-mask": ("ForMaskedLM", {}),
    "feature-extraction": ("Model", {}),
    "zero-shot-classification": ("ForSequenceClassification", {"id2label": {0: "contradiction", 1: "entailment"}}),
    "multiple-choice": ("ForMultipleChoice", {}),
}
Clients = Callable[[str], TestClient]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for task, (head, fields) in HEADS.items():
        if "id2label" in fields:
            fields["label2id"] = {label: index for index, label in fields["id2label"].items()}
        small_model(folder / task, head, **fields)
    return folder


@pytest.fixture(scope="module")
def clients(models: Path) -> Iterator[Clients]:
    """Clients of servers by their task, each made when it is first asked for."""
    made: dict[str, TestClient] = {}
    with ExitStack() as stack:

        def client(task: str) -> TestClient:
            if task not in made:
                settings = Settings(model=str(models / task), task=task, warm_up=False)
                made[task] = stack.enter_context(TestClient(create_app(settings)))
            return made[task]

        yield client


def alike(first: Any, second: Any) -> bool:
    """Whether two answers are the same but for rounding: other texts in a batch change the order of sums."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(alike(first[name], second[name]) for name in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(alike, first, second))
    return bool(np.isclose(first, second, atol=1e-5)) if isinstance(first, float) else bool(first == second)


@pytest.mark.parametrize("task", CONTRACTS)
def test_one_example_a_list_and_instances_get_what_the_pipeline_gives(
    task: str, clients: Clients, models: Path
) -> None:
    contract, client = CONTRACTS[task], clients(task)
    parameters = dict(contract.sample_parameters)
    made = pipeline(task, models / task)
    expected = json.loads(json.dumps(made(contract.sample, **parameters)))
    body = {"inputs": contract.sample, "parameters": parameters}
    response = client.post("/predict", json=body)
    assert response.status_code == 200, response.text
    assert alike(response.json(), expected)
    each = expected[0] if task == "text-classification" else expected
    for path, inputs in (("/invocations", [contract.sample]), ("/predict", [contract.sample] * 3)):
        answer = client.post(path, json={**body, "inputs": inputs}).json()
        assert alike(answer, [each] * len(inputs))
    answer = client.post("/predict", json={"instances": [contract.sample] * 2, "parameters": parameters}).json()
    assert alike(answer, {"predictions": [each] * 2})


@pytest.mark.parametrize("task", CONTRACTS)
def test_the_description_has_an_example_that_works(task: str, clients: Clients) -> None:
    client = clients(task)
    description = client.get("/openapi.json").json()
    content = description["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert client.post("/predict", json=content["example"]).status_code == 200
    parameters = content["schema"]["oneOf"][0]["properties"]["parameters"]["properties"]
    assert parameters.keys() == CONTRACTS[task].parameters.keys()


def test_the_whole_body_may_be_the_input(clients: Clients) -> None:
    one = clients("text-classification").post("/predict", json="I lost my card").json()
    assert one == clients("text-classification").post("/predict", json={"inputs": "I lost my card"}).json()
    question = {"question": "Where?", "context": "I live in London"}
    assert "answer" in clients("question-answering").post("/predict", json=question).json()


@pytest.mark.parametrize(
    ("kind", "write"),
    [
        ("text/csv; charset=utf-8", lambda texts: csv_of([["inputs"], *([text] for text in texts)])),
        ("text/csv", lambda texts: csv_of([["text_pair", "text"], *(["", text] for text in texts)])),
        ("application/jsonlines", lambda texts: "\n\n".join(map(json.dumps, texts)).encode()),
        ("application/x-npy", lambda texts: npy_of(np.array(texts))),
        ("application/x-npy", lambda texts: npy_of(np.array([text.encode() for text in texts]))),
    ],
)
def test_bodies_of_other_types(clients: Clients, kind: str, write: Callable[[list[str]], bytes]) -> None:
    texts = ['I lost my "card",\nand', "東京 🙂 card"]
    client = clients("text-classification")
    expected = client.post("/invocations", json={"inputs": texts}).json()
    answer = client.post("/invocations", content=write(texts), headers={"content-type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text
    assert alike(answer.json(), expected)


def test_answers_of_other_types(clients: Clients) -> None:
    client, body = clients("text-classification"), {"inputs": ["a card", "a pin"]}
    expected = client.post("/invocations", json=body).json()
    lines = client.post("/invocations", json=body, headers={"accept": "application/jsonlines"})
    assert alike([json.loads(line) for line in lines.text.splitlines()], expected)
    table = client.post("/invocations", json=body, headers={"accept": "application/json;q=0.5, text/csv"})
    assert table.headers["content-type"] == "text/csv"
    rows = list(csv.reader(io.StringIO(table.text)))
    assert alike([{"label": label, "score": float(score)} for label, score in rows[1:]], expected)
    assert rows[0] == ["label", "score"]
    several = client.post("/invocations", json={**body, "parameters": {"top_k": 2}}, headers={"accept": "text/csv"})
    assert [len(json.loads(one)) for (one,) in list(csv.reader(io.StringIO(several.text)))[1:]] == [2, 2]


def test_questions_in_csv(clients: Clients) -> None:
    body = csv_of([["question", "context"], ["Where?", "I live in London, 東京"]])
    answer = clients("question-answering").post("/invocations", content=body, headers={"content-type": "text/csv"})
    assert answer.json()[0].keys() == {"score", "start", "end", "answer"}


def csv_of(rows: list[list[str]]) -> bytes:
    """Return rows as CSV."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def npy_of(array: Any) -> bytes:
    """Return an array as `numpy.save` writes it."""
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def test_pairs_labels_and_options(clients: Clients) -> None:
    client = clients("text-classification")
    pair = {"inputs": {"text": "a card", "text_pair": "a pin"}, "parameters": {"top_k": None}}
    assert sorted(one["label"] for one in client.post("/predict", json=pair).json()) == ["maybe", "no", "yes"]
    body = {"inputs": ["a card", {"text": "a pin"}], "parameters": {"top_k": 2, "function_to_apply": "none"}}
    assert [len(one) for one in client.post("/predict", json=body).json()] == [2, 2]


def test_long_texts_are_cut_or_refused_as_the_request_says(clients: Clients) -> None:
    client, text = clients("text-classification"), "card " * 200
    assert client.post("/predict", json={"inputs": text}).headers["x-tokens"] == "64"
    refused = client.post("/predict", json={"inputs": text, "parameters": {"truncation": False}})
    assert (refused.status_code, refused.json()["error_type"]) == (422, "validation")


def test_a_long_context_is_read_in_windows(clients: Clients) -> None:
    body = {"inputs": {"question": "Which card?", "context": "the card of the bank " * 60}}
    response = clients("question-answering").post("/predict", json=body)
    assert response.status_code == 200
    assert int(response.headers["x-tokens"]) > 10 * 64


def test_text_that_is_not_english_comes_back_as_it_was(clients: Clients) -> None:
    context = "Zürich 東京 🙂 \u0000 naïve"
    answer = clients("question-answering").post("/predict", json={"question": "Where?", "context": context}).json()
    assert context[answer["start"] : answer["end"]] == answer["answer"]


def test_headers_tell_what_a_request_cost(clients: Clients) -> None:
    response = clients("text-classification").post("/predict", json="a card", headers={"x-request-id": "mine-1"})
    assert response.headers["x-request-id"] == "mine-1"
    times = {name for name in response.headers if name.endswith("-time")}
    assert times == {"x-encode-time", "x-queue-time", "x-compute-time", "x-decode-time", "x-total-time"}
    odd = clients("text-classification").post("/predict", json="a card", headers={"x-request-id": "a b\tc"})
    assert odd.headers["x-request-id"] != "a b\tc"


def test_what_is_there_beside_predictions(clients: Clients) -> None:
    client = clients("text-classification")
    assert (client.get("/ping").status_code, client.get("/ping").content) == (200, b"")
    assert client.get("/health").json() == {"status": "ready"}
    info = client.get("/info").json()
    assert (info["task"], info["labels"], info["max_length"]) == ("text-classification", ["no", "yes", "maybe"], 64)
    assert "token" not in info["settings"]
    assert client.get("/execution-parameters").json()["MaxPayloadInMB"] == 2
    for path in ("/", "/docs"):
        page = client.get(path)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "http" not in page.text.replace("http-equiv", "")  # nothing comes from elsewhere


def test_metrics_count_requests_steps_and_batches(clients: Clients) -> None:
    client = clients("multiple-choice")
    client.post("/predict", json=CONTRACTS["multiple-choice"].sample)
    client.get("/no-such-path/1")
    client.get("/no-such-path/2")
    text = client.get("/metrics").text
    for line in (
        'distilbert_requests_total{route="other",status="404"} 2.0',
        'distilbert_step_duration_seconds_count{step="compute"}',
        "distilbert_batch_tokens_sum",
        "distilbert_requests_in_progress 0.0",
        "distilbert_workers_ready 1.0",
    ):
        assert line in text


def test_routes_of_vertex_ai() -> None:
    settings = Settings(
        model=str(DEMO / "model"), warm_up=False, health_route="/v1/live", predict_route="/v1/m:predict"
    )
    with TestClient(create_app(settings)) as client:
        assert client.get("/v1/live").status_code == 200
        answer = client.post("/v1/m:predict", json={"instances": ["I lost my card"]}).json()
        assert answer["predictions"][0]["label"] == "lost_or_stolen_card"
