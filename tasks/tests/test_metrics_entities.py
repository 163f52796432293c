"""Entity scores beside seqeval, which counts as conlleval does, and by hand where seqeval has no answer."""

from __future__ import annotations

import numpy as np
import pytest
from seqeval.metrics.sequence_labeling import (
    classification_report,
    get_entities,
    precision_recall_fscore_support,
)

from distilbert_common.errors import InputError
from distilbert_tasks.metrics.entities import TagScheme, entity_spans, has_entities, score_entities

LABELS = ["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in ("PER", "LOC", "creative-work"))]


def random_sentences(seed: int, sentences: int = 300) -> list[np.ndarray]:
    """Return tags that follow no scheme, half of them O."""
    rng = np.random.default_rng(seed)
    return [np.where(rng.random(n) < 0.5, 0, rng.integers(len(LABELS), size=n)) for n in rng.integers(1, 12, sentences)]


def names(sentences: list[np.ndarray], labels: list[str] = LABELS) -> list[list[str]]:
    """Return class ids as labels."""
    return [[labels[tag] for tag in tags] for tags in sentences]


def spans(tags: list[str]) -> list[tuple[str, int, int]]:
    """Return the entities of one sentence: type, first and last word."""
    labels = sorted(set(tags))
    scheme = TagScheme.of(labels)
    rows = entity_spans([labels.index(tag) for tag in tags], scheme)
    return [(scheme.types[kind], start, end - 1) for start, end, kind in rows.tolist()]


def test_any_order_of_tags_has_the_entities_of_conlleval() -> None:
    for tags in names(random_sentences(0)):
        assert spans(tags) == get_entities(tags)


def test_scores_are_those_of_conlleval() -> None:
    expected, predicted = random_sentences(1), random_sentences(2)
    predicted = [
        np.where(np.arange(len(a)) % 3, a, np.resize(b, len(a))) for a, b in zip(expected, predicted, strict=True)
    ]
    scores = score_entities(predicted, expected, LABELS)
    oracle = precision_recall_fscore_support(names(expected), names(predicted), average="micro")
    assert [scores.metrics[name] for name in ("precision", "recall", "f1")] == pytest.approx(oracle[:3], abs=1e-12)
    report = classification_report(names(expected), names(predicted), output_dict=True)
    assert {one.name for one in scores.classes} == {"PER", "LOC", "creative-work"}
    for one in scores.classes:
        row = report[one.name]
        assert [one.precision, one.recall, one.f1, one.support] == pytest.approx(
            [row["precision"], row["recall"], row["f1-score"], row["support"]], abs=1e-12
        )
    assert scores.metrics["f1_macro"] == pytest.approx(report["macro avg"]["f1-score"], abs=1e-12)


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        ("I-PER I-PER O I-PER", [("PER", 0, 1), ("PER", 3, 3)]),  # IOB1
        ("I-PER B-PER I-PER", [("PER", 0, 0), ("PER", 1, 2)]),  # IOB1: B only where two touch
        ("B-PER I-LOC", [("PER", 0, 0), ("LOC", 1, 1)]),
        (
            "B-PER L-PER I-PER U-LOC",
            [("PER", 0, 1), ("PER", 2, 2), ("LOC", 3, 3)],
        ),  # BILOU, which seqeval takes for other letters
        ("PER PER O ORG", [("PER", 0, 1), ("ORG", 3, 3)]),  # no prefix; seqeval takes ORG for O
        ("B I O B", [("", 0, 1), ("", 3, 3)]),
        ("B-a-b I-a-b", [("a-b", 0, 1)]),
    ],
)
def test_schemes(tags: str, entities: list[tuple[str, int, int]]) -> None:
    assert spans(tags.split()) == entities


def test_a_type_that_is_only_predicted_counts_in_the_mean_and_one_that_is_nowhere_does_not() -> None:
    expected, predicted = [np.array([1, 0, 1])], [np.array([1, 2, 0])]
    report = classification_report(names(expected), names(predicted), output_dict=True, zero_division=0)
    assert score_entities(predicted, expected, LABELS).metrics["f1_macro"] == report["macro avg"]["f1-score"] == 1 / 3


def test_an_entity_ends_with_its_sentence() -> None:
    scheme = TagScheme.of(["O", "I-PER"])
    assert entity_spans([1, 1, 1], scheme, [2, 1]).tolist() == [[0, 2, 0], [2, 3, 0]]


def test_no_entity_at_all_scores_0() -> None:
    scores = score_entities([[0, 0]], [[0, 0]], ["O", "B-PER"])
    assert scores.metrics == {"precision": 0, "recall": 0, "f1": 0, "f1_macro": 0, "accuracy": 1}


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(InputError, match="one of each for every word"):
        score_entities([[0]], [[0, 0]], ["O", "B-PER"])
    with pytest.raises(InputError, match="no labeled word"):
        score_entities([[]], [[]], ["O", "B-PER"])


def test_parts_of_speech_are_no_entities() -> None:
    assert has_entities(["O", "PER"])
    assert has_entities(["B-PER", "I-PER"])
    assert not has_entities(["NOUN", "VERB", "X"])
