from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
from data_cases import write_csv, write_lines

from distilbert_tasks.data import load_data
from distilbert_tasks.data.columns import choose_columns

SINGLE, SEVERAL, REGRESSION = "single_label_classification", "multi_label_classification", "regression"


def load(values: list[Any], **options: Any) -> Any:
    rows = [{"text": str(number), "label": value} for number, value in enumerate(values)]
    return load_data("text-classification", rows, validation_share=0, **options)


KINDS: list[tuple[list[Any], dict[str, Any], str, tuple[str, ...] | None, list[Any]]] = [
    (["b", "a", "b"], {}, SINGLE, ("a", "b"), [1, 0, 1]),
    ([10, 9, -1], {}, SINGLE, ("-1", "9", "10"), [2, 1, 0]),  # sorted as numbers
    ([True, False], {}, SINGLE, ("False", "True"), [1, 0]),
    (["b", "a"], {"labels": ["b", "a", "c"]}, SINGLE, ("b", "a", "c"), [0, 1]),
    (["1", "0"], {"labels": ["NEGATIVE", "POSITIVE"]}, SINGLE, ("NEGATIVE", "POSITIVE"), [1, 0]),  # ids of given names
    ([1.0, 2.5], {}, REGRESSION, None, [1.0, 2.5]),
    (["1.0", "2"], {}, REGRESSION, None, [1.0, 2.0]),
    ([1, 5], {"problem_type": REGRESSION}, REGRESSION, None, [1.0, 5.0]),
    ([[0.5, 1.0], [2.0, 3.0]], {}, REGRESSION, ("LABEL_0", "LABEL_1"), [[0.5, 1.0], [2.0, 3.0]]),
    (["1.0", "2.5"], {"problem_type": SINGLE}, SINGLE, ("1.0", "2.5"), [0, 1]),
    ([["joy", "awe"], [], ["joy"]], {}, SEVERAL, ("awe", "joy"), [[1, 1], [0, 0], [0, 1]]),
    ([[2], [0, 10]], {}, SEVERAL, ("0", "2", "10"), [[0, 1, 0], [1, 0, 1]]),
    ([[1, 0], [1, 1]], {}, SEVERAL, ("LABEL_0", "LABEL_1"), [[1, 0], [1, 1]]),
    (["['joy', 'awe']", "[]"], {}, SEVERAL, ("awe", "joy"), [[1, 1], [0, 0]]),  # as CSV files have lists
    ([" 2", "b", "2 "], {}, SINGLE, ("2", "b"), [0, 1, 0]),
    (["2", "1", "01"], {}, SINGLE, ("01", "1", "2"), [2, 1, 0]),
]


@pytest.mark.parametrize(("values", "options", "problem_type", "names", "ids"), KINDS, ids=[str(c[0]) for c in KINDS])
def test_kinds_of_labels(
    values: list[Any], options: dict[str, Any], problem_type: str, names: tuple[str, ...] | None, ids: list[Any]
) -> None:
    data = load(values, **options)
    assert (data.problem_type, data.labels, data.train["label"][:]) == (problem_type, names, ids)


def test_a_column_for_each_label(tmp_path: Path) -> None:
    rows = [{"comment": "a", "toxic": 1, "insult": 0}, {"comment": "b", "toxic": 1, "insult": 1}]
    columns = {"label": ["toxic", "insult"]}
    data = load_data("text-classification", write_csv(tmp_path / "a.csv", rows), columns=columns, validation_share=0)
    assert (data.labels, data.train["label"][:]) == (("toxic", "insult"), [[1, 0], [1, 1]])


def test_columns_are_told_apart_by_their_names_where_labels_have_an_order() -> None:
    rows = {"text": ["a", "b"], "toxic": [1, 1], "insult": [0, 1]}
    options: dict[str, Any] = {"columns": {"label": ["toxic", "insult"]}, "validation_share": 0}
    data = load_data("text-classification", rows, labels=["insult", "threat", "toxic"], **options)
    assert data.train["label"][:] == [[0, 0, 1], [1, 0, 1]]
    assert "no column for threat" in data.notes[-1]
    renamed = load_data("text-classification", rows, labels=["A", "B"], **options)
    assert (renamed.labels, renamed.train["label"][:]) == (("A", "B"), [[1, 0], [1, 1]])


def test_whether_choices_are_numbered_from_one_is_told_by_all_splits() -> None:
    def rows(*labels: int) -> dict[str, Any]:
        return {"choices": [["a", "b"]] * len(labels), "label": list(labels)}

    data = load_data("multiple-choice", rows(1, 2), rows(1, 1))
    assert (data.train["label"][:], data.validation["label"][:]) == ([0, 1], [0, 0])


def test_names_of_a_class_label_keep_their_order() -> None:
    kinds = datasets.ClassLabel(names=["POS", "NEG"])
    features = datasets.Features({"text": datasets.Value("string"), "label": kinds})
    train = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features)
    data = load_data("text-classification", train, validation_share=0)
    assert (data.labels, data.train["label"][:]) == (("POS", "NEG"), [1, 0])


def test_names_of_tags_keep_their_order(tmp_path: Path) -> None:
    kinds = datasets.List(datasets.ClassLabel(names=["O", "B-PER"]))
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": kinds})
    path = tmp_path / "a.parquet"
    datasets.Dataset.from_dict({"tokens": [["Bob", "ran"]], "ner_tags": [[1, 0]]}, features).to_parquet(path)
    data = load_data("ner", path, validation_share=0)
    assert (data.labels, data.train["tags"][:]) == (("O", "B-PER"), [[1, 0]])


CHOICES: list[tuple[dict[str, Any], tuple[str, list[str], int]]] = [
    ({"sent1": "Bob", "sent2": "He", "ending0": "ran.", "ending1": "sat.", "label": 1},
     ("Bob", ["He ran.", "He sat."], 1)),
    ({"ctx": "Bob", "endings": ["ran.", "sat."], "label": "1"}, ("Bob", ["ran.", "sat."], 1)),
    ({"question": "Who?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"},
     ("Who?", ["x", "y"], 1)),
    ({"sentence": "_ ran", "option1": "x", "option2": "y", "answer": "2"}, ("_ ran", ["x", "y"], 1)),
    ({"FalseSent": "f", "OptionA": "x", "OptionB": "y", "OptionC": "z", "label": "C"}, ("f", ["x", "y", "z"], 2)),
    ({"sent0": "x", "sent1": "y", "label": 1}, ("", ["x", "y"], 1)),
]  # fmt: skip


@pytest.mark.parametrize(("row", "expected"), CHOICES, ids=[" ".join(row) for row, _ in CHOICES])
def test_forms_of_multiple_choice(row: dict[str, Any], expected: tuple[str, list[str], int], tmp_path: Path) -> None:
    data = load_data("multiple-choice", write_lines(tmp_path / "a.jsonl", [row]), validation_share=0)
    assert (data.train["prompt"][0], data.train["choices"][0], data.train["label"][0]) == expected


FOUND = [
    ("text-classification", "idx premise hypothesis label", {"text": ("premise", "hypothesis"), "label": ("label",)}),
    ("text-classification", "Sentence Label", {"text": ("Sentence",), "label": ("Label",)}),
    ("text-classification", "question sentence label", {"text": ("question", "sentence"), "label": ("label",)}),
    ("text-classification", "text intent label_text", {"text": ("text",), "label": ("intent",)}),
    ("token-classification", "id words pos_tags ner_tags", {"tokens": ("words",), "tags": ("ner_tags",)}),
]


@pytest.mark.parametrize(("task", "available", "chosen"), FOUND, ids=[case[1] for case in FOUND])
def test_columns_are_found_by_their_names(task: str, available: str, chosen: dict[str, tuple[str, ...]]) -> None:
    assert choose_columns(task, available.split(), None, True, "a.csv") == chosen


def test_columns_that_are_named_come_before_those_that_are_known() -> None:
    columns = {"text": "body", "text_pair": "text"}
    chosen = choose_columns("text-classification", ["text", "body", "label"], columns, True, "a.csv")
    assert chosen == {"text": ("body",), "text_pair": ("text",), "label": ("label",)}


def test_labels_of_data_to_predict_are_not_read(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [{"text": "a", "label": None}])
    data = load_data("text-classification", test=path, labeled=False)
    assert data.test.column_names == ["text"]
