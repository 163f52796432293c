"""One call scores each task; words get their labels back."""

from __future__ import annotations

import numpy as np
import pytest

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_tasks.decoding import decode_tags
from distilbert_tasks.features.features import Features, Ragged
from distilbert_tasks.metrics import best_metric, score


def features(labels: dict[str, object], example: list[int], **details: Ragged) -> Features:
    return Features(Ragged.from_lists([[0]] * len(example)), labels, np.array(example), details=details)  # type: ignore[arg-type]


def test_the_first_row_that_has_a_word_decides() -> None:
    high = 9 * np.eye(4)
    tags = decode_tags(
        [high[[0, 1, 2, 0]], high[[3, 3]], high[[2]]],
        [[-1, 0, 0, -1], [0, 1], [0]],
        [0, 0, 2],
        [3, 0, 1],
        outside=1,
    )
    assert [one.tolist() for one in tags] == [[1, 3, 1], [], [2]]


def test_texts() -> None:
    config = DistilBertConfig(id2label={0: "no", 1: "yes"})
    rows = features({"labels": np.array([0, 1], np.int32)}, [0, 1])
    scores = score("sentiment-analysis", {}, rows, {"logits": [[1.0, 0.0], [1.0, 0.0]]}, config)
    assert scores.metrics["accuracy"] == 0.5
    assert [one.name for one in scores.classes] == ["no", "yes"]


def test_the_problem_type_is_seen_as_the_models_see_it() -> None:
    numbers = features({"labels": np.array([0.5, 1.5], np.float32)}, [0, 1])
    scores = score("text-classification", {}, numbers, {"logits": [[0.5], [1.5]]}, DistilBertConfig(num_labels=1))
    assert scores.metrics["mse"] == 0
    several = features({"labels": np.array([[1, 0], [1, 1]], np.float32)}, [0, 1])
    outputs = {"logits": [[1.0, -1.0], [1.0, 1.0]]}
    assert score("text-classification", {}, several, outputs, DistilBertConfig()).metrics["subset_accuracy"] == 1


def test_words() -> None:
    config = DistilBertConfig(id2label={0: "B-PER", 1: "I-PER", 2: "O"})
    word = Ragged.from_lists([[-1, 0, 1, 2, -1]])
    rows = features({"labels": Ragged.from_lists([[-100, 0, -100, 1, -100]])}, [0], word=word)
    logits = 9 * np.eye(3)[[2, 0, 0, 1, 2]]
    data = {"tags": [[0, -100, 1, 0]]}  # the second word has no label; the last one is in no row, and so no entity
    scores = score("ner", data, rows, {"logits": [logits]}, config)
    assert scores.metrics["recall"] == 0.5
    assert scores.metrics["precision"] == 1
    assert scores.metrics["accuracy"] == pytest.approx(2 / 3)
    assert scores.metrics["loss"] == pytest.approx(np.log1p(2 * np.exp(-9)))
    nouns = DistilBertConfig(id2label={0: "NOUN", 1: "VERB", 2: "ADJ"})
    data = {"tags": [[0, -100, 0, 1]]}
    assert score("ner", data, rows, {"logits": [logits]}, nouns).metrics["f1_micro"] == pytest.approx(1 / 3)


def test_answers() -> None:
    data = {
        "context": ["ab cd"] * 2,
        "answers": [{"text": ["cd"], "answer_start": [3]}, {"text": [], "answer_start": []}],
    }
    offsets = Ragged(np.array([(-1, -1), (0, 2), (3, 5)] * 2), np.array([0, 3, 6]))
    positions = {name: np.array([2, 0]) for name in ("start_positions", "end_positions")}
    outputs = {name: [[0.0, 0.0, 5.0], [5.0, 0.0, 0.0]] for name in ("start_logits", "end_logits")}
    rows = features(positions, [0, 1], offsets=offsets)
    scores = score("question-answering", data, rows, outputs, DistilBertConfig()).metrics
    assert (scores["f1"], scores["no_answer_f1"], scores["best_f1"]) == (100, 100, 100)
    assert scores["loss"] == pytest.approx(np.log1p(2 * np.exp(-5)))
    answered = {"context": ["ab cd"] * 2, "answers": [{"text": ["cd"], "answer_start": [3]}] * 2}
    assert score("qa", answered, rows, outputs, DistilBertConfig()).metrics["exact_match"] == 50


def test_choices_and_masked_tokens() -> None:
    rows = features({"labels": np.array([1, 0])}, [0, 1])
    assert (
        score("multiple-choice", {}, rows, {"logits": [[0, 1], [0, 1]]}, DistilBertConfig()).metrics["accuracy"] == 0.5
    )
    sums = {"loss": [2.0, 4.0], "tokens": [1, 2], "correct": [1, 0]}
    assert score("mlm", {}, rows, sums, DistilBertConfig()).metrics["loss"] == 2


def test_data_without_labels_is_refused() -> None:
    with pytest.raises(InputError, match="no labels"):
        score("text-classification", {}, features({}, [0]), {"logits": [[0.0, 1.0]]}, DistilBertConfig())


@pytest.mark.parametrize(
    ("task", "config", "metric"),
    [
        ("text-classification", DistilBertConfig(), ("accuracy", True)),
        ("text-classification", DistilBertConfig(num_labels=1), ("pearson", True)),
        ("text-classification", DistilBertConfig(problem_type="multi_label_classification"), ("f1_micro", True)),
        ("ner", DistilBertConfig(id2label={0: "O", 1: "B-PER"}), ("f1", True)),
        ("ner", DistilBertConfig(id2label={0: "NOUN", 1: "VERB"}), ("accuracy", True)),
        ("mlm", DistilBertConfig(), ("perplexity", False)),
    ],
)
def test_the_metric_that_chooses_the_best(task: str, config: DistilBertConfig, metric: tuple[str, bool]) -> None:
    assert best_metric(task, config) == metric
