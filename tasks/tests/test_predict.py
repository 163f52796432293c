from __future__ import annotations

import itertools
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas
import pytest

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_tasks import predict
from distilbert_tasks.prediction.predictor import Predictor
from parity_tests.helpers.small_tasks import DEMO, small_data

MODULE: ModuleType = sys.modules[Predictor.__module__]


class EchoPipeline:
    """Returns what it is called with, in the form of a task's results."""

    def __init__(self, task: str) -> None:
        self.task, self.seen, self.options = task, [], {}  # type: ignore[var-annotated]
        self.config = DistilBertConfig(max_position_embeddings=64)

    def parse_options(self, options: dict[str, Any]) -> None:
        if "nonsense" in options:
            raise InputError("there is no option nonsense")

    def __call__(self, examples: Iterable[Any], **options: Any) -> Iterator[Any]:
        self.options = options
        stream = iter(examples)
        while window := list(itertools.islice(stream, 2)):
            self.seen += window
            yield from map(self.result, window)

    def result(self, example: Any) -> Any:
        if self.task in ("token-classification", "fill-mask", "multiple-choice"):
            return [{"word": str(example), "score": 0.5}] * self.options.get("top_k", 2)
        name = {"question-answering": "answer", "zero-shot-classification": "labels"}.get(self.task, "label")
        return {name: str(example), "score": 0.5, **({"sequence": "…"} if name == "labels" else {})}


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> dict[str, EchoPipeline]:
    """The pipelines that were made, by task."""
    made: dict[str, EchoPipeline] = {}

    def pipeline(task: str, model: Any, **options: Any) -> EchoPipeline:
        made[task] = EchoPipeline(task)
        return made[task]

    monkeypatch.setattr(MODULE, "pipeline", pipeline)
    return made


CASES: list[tuple[str, dict[str, Any], Any, set[str]]] = [
    ("text-classification", {"text": "a", "label": "b"}, "a", {"predicted_label", "score"}),
    ("text-classification", {"premise": "a", "hypothesis": "b"}, {"text": "a", "text_pair": "b"}, {"label", "score"}),
    ("token-classification", {"text": "a b"}, "a b", {"entities"}),
    ("token-classification", {"tokens": ["a", "b"], "ner_tags": [0, 1]}, ["a", "b"], {"entities"}),
    (
        "question-answering",
        {"id": "1", "question": "q", "context": "c", "answers": {"text": []}},
        {"question": "q", "context": "c"},
        {"answer", "score"},
    ),
    (
        "multiple-choice",
        {"prompt": "p", "choices": ["a", "b"], "label": 1},
        {"prompt": "p", "choices": ["a", "b"]},
        {"word", "score"},
    ),
    (  # a second column of the prompt begins every choice, as in fine-tuning
        "multiple-choice",
        {"sent1": "p", "sent2": "He", "ending0": "ran", "ending1": "sat"},
        {"prompt": "p", "choices": ["He ran", "He sat"]},
        {"word", "score"},
    ),
    ("multiple-choice", {"choices": "['a', 'b']"}, {"prompt": "", "choices": ["a", "b"]}, {"word", "score"}),
    ("multiple-choice", {"sent0": "a", "sent1": "b"}, {"prompt": "", "choices": ["a", "b"]}, {"word", "score"}),
    ("fill-mask", {"text": "a [MASK]"}, "a [MASK]", {"tokens"}),
    ("zero-shot-classification", {"text": "a"}, "a", {"labels", "score"}),
]


@pytest.mark.parametrize(("task", "row", "example", "added"), CASES)
def test_columns_become_examples_and_results_become_columns(
    echo: dict[str, EchoPipeline], task: str, row: dict[str, Any], example: Any, added: set[str]
) -> None:
    rows = list(predict("model", rows=[row] * 3, task=task))
    assert echo[task].seen == [example] * 3
    for predicted in rows:
        assert {name: predicted[name] for name in row} == row
        assert set(predicted) - set(row) == added


def test_columns_of_other_names_are_named(echo: dict[str, EchoPipeline]) -> None:
    rows = [{"review": "a", "text": "b"}]
    assert list(predict("model", rows=rows, task="text-classification", columns={"text": "review"}))
    assert echo["text-classification"].seen == ["a"]
    with pytest.raises(InputError, match="'stars'"):
        list(predict("model", rows=rows, task="text-classification", columns={"text": "stars"}))
    with pytest.raises(InputError, match="columns is 'text'; expected names by role"):
        predict("model", rows=rows, task="text-classification", columns="text")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the rows, row 2, column 'text': there is no text"):
        list(predict("model", rows=[{"text": "a"}, {"text": None}], task="fill-mask"))


def test_examples_are_read_as_they_are_needed(echo: dict[str, EchoPipeline]) -> None:
    read: list[int] = []

    def rows() -> Iterator[dict[str, str]]:
        for number in itertools.count():
            read.append(number)
            yield {"text": str(number)}

    predicted = predict("model", rows=rows(), task="text-classification")
    assert [row["label"] for row in itertools.islice(predicted, 5)] == ["0", "1", "2", "3", "4"]
    assert len(read) <= 7


def test_entities_are_looked_for_to_the_end_of_long_texts(echo: dict[str, EchoPipeline]) -> None:
    list(predict("model", ["a"], task="token-classification"))
    assert echo["token-classification"].options == {"aggregation_strategy": "simple", "stride": 16}
    list(predict("model", ["a"], task="token-classification", aggregation_strategy="none"))
    assert echo["token-classification"].options == {"aggregation_strategy": "none"}


def test_questions_are_cut_that_would_leave_no_room_for_their_context(echo: dict[str, EchoPipeline]) -> None:
    list(predict("model", [{"question": "q", "context": "c"}], task="question-answering"))
    assert echo["question-answering"].options == {"max_question_len": 28}


def test_a_tokenizer_that_knows_no_limit_cuts_texts_to_what_the_model_takes(tmp_path: Path) -> None:
    model = shutil.copytree(DEMO / "model", tmp_path / "model")
    (model / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 10**30}))
    (row,) = predict(model, ["card " * 200], framework="pt", device="cpu")
    assert 0 < row["score"] <= 1


def test_what_cannot_be_used_is_named(echo: dict[str, EchoPipeline]) -> None:
    with pytest.raises(InputError, match="exactly one"):
        predict("model")
    with pytest.raises(InputError, match="nonsense"):
        predict("model", ["a"], task="text-classification", nonsense=1)
    for task, option in (("text-classification", "candidate_labels"), ("token-classification", "top_k")):
        with pytest.raises(InputError, match=f"{option} is an option of .*, and the task is {task}"):
            predict("model", ["a"], task=task, **{option: 2})
    with pytest.raises(InputError, match="example 2 has no 'text'"):
        list(predict("model", rows=[{"text": "a"}, {"txt": "b"}], task="text-classification"))
    with pytest.raises(InputError, match=r'"context": .* or the context as --context'):
        list(predict("model", ["who?"], task="question-answering"))
    with pytest.raises(InputError, match=r'objects such as {"prompt": .*"choices"'):
        list(predict("model", ["which?"], task="multiple-choice"))
    assert list(predict("model", [], task="text-classification")) == []


def test_the_demo_model_on_a_file(tmp_path: Path) -> None:
    path = small_data("text-classification", tmp_path / "data", slice(0, 30))
    rows = list(predict(DEMO / "model", file=path, framework="pt", device="cpu"))
    labels = [json.loads(line)["label"] for line in path.read_text().splitlines()]
    assert [row["label"] for row in rows] == labels
    right = sum(row["predicted_label"] == row["label"] for row in rows)
    assert right >= 26  # 87 % of all test questions are
    assert all(0 < row["score"] <= 1 for row in rows)


def test_a_data_frame_is_rows(echo: dict[str, EchoPipeline]) -> None:
    frame = pandas.DataFrame({"text": ["a", "b"], "number": [1, 2]})
    for source in ({"texts": frame}, {"rows": frame}):
        rows = list(predict("model", task="text-classification", **source))
        assert rows == [{"text": t, "number": n, "label": t, "score": 0.5} for t, n in (("a", 1), ("b", 2))]
