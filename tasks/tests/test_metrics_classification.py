"""Scores of classes, labels, numbers and choices, by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from distilbert_common.errors import InputError
from distilbert_tasks.metrics.classification import score_choices, score_classes, score_multi_label, score_regression
from distilbert_tasks.metrics.language import masked_token_scores, score_masked_tokens


def one_hot(classes: list[int], count: int) -> np.ndarray:
    """Return logits (rows, count) that are highest at the classes."""
    return 5 * np.eye(count, dtype=np.float32)[classes]


def test_two_classes() -> None:
    scores = score_classes(one_hot([1, 1, 0, 0, 1], 2), [1, 0, 0, 1, 1], ["no", "yes"])
    assert scores.metrics["accuracy"] == pytest.approx(0.6)
    assert scores.metrics["f1_micro"] == pytest.approx(0.6)
    assert scores.metrics["f1"] == pytest.approx(2 / 3)  # of "yes": 2 right, 3 predicted, 3 there
    assert scores.metrics["f1_macro"] == pytest.approx((2 / 3 + 0.5) / 2)
    assert scores.metrics["f1_weighted"] == pytest.approx((3 * 2 / 3 + 2 * 0.5) / 5)
    assert scores.metrics["mcc"] == pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2))
    right, wrong = np.log1p(np.exp(-5)), np.log1p(np.exp(5))
    assert scores.metrics["loss"] == pytest.approx((3 * right + 2 * wrong) / 5)
    assert scores.confusion is not None
    assert scores.confusion.counts.tolist() == [[1, 1], [1, 2]]
    assert [(one.name, one.support) for one in scores.classes] == [("no", 2), ("yes", 3)]


def test_a_class_that_is_absent_counts_for_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = score_classes(one_hot([2, 2], 4), [2, 2], list("abcd"))
    assert scores.metrics["f1_macro"] == 1
    assert scores.metrics["mcc"] == 0
    assert [one.f1 for one in scores.classes] == [0, 0, 1, 0]


def test_examples_without_a_label_do_not_count() -> None:
    assert score_classes(one_hot([0, 1, 1], 2), [0, -100, 0], ["a", "b"]).metrics["accuracy"] == 0.5
    assert score_choices(one_hot([0, 1, 1], 2), [0, -100, 0]).metrics["accuracy"] == 0.5
    for score in (lambda *_: score_classes(one_hot([0], 2), [-100], ["a", "b"]), score_choices):
        with pytest.raises(InputError, match="nothing to score"):
            score(one_hot([0], 2), [-100])


def test_broken_weights_are_no_score() -> None:
    logits = one_hot([0, 1], 2)
    logits[1, 0] = np.nan
    with pytest.raises(InputError, match="row 1 hold a value that is not finite"):
        score_classes(logits, [0, 1], ["a", "b"])


def test_several_labels() -> None:
    logits = np.array([[0.5, -3, 3], [-3, -3, 3], [-3, -3, -3]], np.float32)
    scores = score_multi_label(logits, [[1, 0, 1], [0, 1, 1], [0, 0, 0]], list("abc")).metrics
    assert scores["subset_accuracy"] == pytest.approx(2 / 3)
    assert scores["f1_micro"] == pytest.approx(2 * 3 / (3 + 4))
    assert scores["f1_macro"] == pytest.approx(2 / 3)
    assert scores["loss"] == pytest.approx(
        (7 * np.log1p(np.exp(-3)) + np.log1p(np.exp(-0.5)) + np.log1p(np.exp(3))) / 9
    )


def test_numbers() -> None:
    scores = score_regression([[1.0], [2.0], [4.0]], [1.0, 3.0, 4.0]).metrics
    assert scores["mse"] == pytest.approx(1 / 3)
    assert scores["mae"] == pytest.approx(1 / 3)
    assert scores["pearson"] == pytest.approx(np.corrcoef([1, 2, 4], [1, 3, 4])[0, 1])
    assert scores["spearman"] == pytest.approx(1)


def test_numbers_that_are_all_the_same_correlate_with_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert score_regression([2.0, 2.0, 2.0], [1, 3, 4]).metrics["pearson"] == 0
        assert score_regression([2.0], [1]).metrics["spearman"] == 0


def test_masked_tokens_are_weighted_alike() -> None:
    logits = np.zeros((2, 3, 8), np.float32)  # (batch, seq, vocab)
    logits[0, 1, 5] = 2
    batches = [masked_token_scores(logits, [[-100, 5, -100], [1, 2, -100]])]
    batches.append(masked_token_scores(logits, np.full((2, 3), -100)))  # a batch without a mask
    scores = score_masked_tokens(*([one[name] for one in batches] for name in ("loss", "tokens", "correct"))).metrics
    expected = (2 * np.log(8) + np.log(np.exp(2) + 7) - 2) / 3
    assert scores["loss"] == pytest.approx(expected)
    assert scores["perplexity"] == pytest.approx(np.exp(expected))
    assert scores["accuracy"] == pytest.approx(1 / 3)
    with pytest.raises(InputError, match="no token is masked"):
        score_masked_tokens([0.0], [0])
