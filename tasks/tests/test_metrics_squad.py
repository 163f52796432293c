"""SQuAD's scores: version 1.1 beside torchmetrics, version 2 by hand and beside every threshold tried."""

from __future__ import annotations

import numpy as np
import pytest
from torchmetrics.functional.text import squad

from distilbert_common.errors import InputError
from distilbert_tasks.metrics.squad import answer_f1, exact_match, normalize_answer, score_answers

WORDS = ["the", "A", "an", "Cat,", "cat", "sat", "on", "mat.", "1990s", "(Zürich)", "!", "New-York", "猫", "\u200bx"]


def random_answers(rng: np.random.Generator) -> list[str]:
    return ["  ".join(rng.choice(WORDS, rng.integers(0, 5))) for _ in range(200)]


def test_version_1_is_that_of_torchmetrics_where_answers_have_words() -> None:
    rng = np.random.default_rng(0)
    answers = [f"{text} sat" for text in random_answers(rng)]
    references = [list(texts) for texts in zip(random_answers(rng), random_answers(rng), strict=True)]
    oracle = squad(
        [{"prediction_text": text, "id": str(i)} for i, text in enumerate(answers)],
        [{"answers": {"answer_start": [0, 0], "text": texts}, "id": str(i)} for i, texts in enumerate(references)],
    )
    scores = score_answers(answers, references, version_2=False).metrics
    assert scores["exact_match"] == pytest.approx(float(oracle["exact_match"]), abs=1e-4)  # theirs is float32
    assert scores["f1"] == pytest.approx(float(oracle["f1"]), abs=1e-4)


def test_answers_are_compared_without_case_articles_and_punctuation() -> None:
    assert normalize_answer(" The  quick, (brown) FOX's an-tenna ") == "quick brown foxs antenna"
    assert exact_match("the Cat!", "cat") == 1
    assert answer_f1("the black cat", "cat sat") == 0.5


def test_the_versions_differ_in_answers_without_words() -> None:
    assert answer_f1("the", "a", version_2=False) == 0
    assert answer_f1("the", "a", version_2=True) == 1
    assert answer_f1("", "cat", version_2=True) == 0


def test_version_2_counts_questions_with_and_without_an_answer_apart() -> None:
    scores = score_answers(["cat", "", "dog", "", "big dog"], [["cat"], ["cat"], [], [], ["dog"]]).metrics
    assert scores == pytest.approx(
        {
            "exact_match": 40.0,
            "f1": (100 + 0 + 0 + 100 + 200 / 3) / 5,
            "has_answer_exact_match": 100 / 3,
            "has_answer_f1": (100 + 200 / 3) / 3,
            "no_answer_exact_match": 50.0,
            "no_answer_f1": 50.0,
        }
    )


def test_right_answers_without_words_do_not_count_beside_others() -> None:
    assert score_answers(["", "cat"], [["the", "cat"], ["an"]], version_2=True).metrics["f1"] == 0


def test_questions_above_the_threshold_are_not_answered() -> None:
    answers, references = ["cat", "dog", "cow"], [["cat"], [], ["cow"]]
    scores = score_answers(answers, references, no_answer_scores=[-2, 3, 0.5], threshold=0.0).metrics
    assert scores["exact_match"] == pytest.approx(200 / 3)  # the last one is not answered
    assert scores["best_exact_match"] == 100
    assert scores["best_exact_match_threshold"] == 0.5


def test_the_best_threshold_is_the_best_of_all() -> None:
    rng = np.random.default_rng(1)
    answers = random_answers(rng)
    references = [[text] if rng.random() < 0.6 else [] for text in answers]
    answers = [text if rng.random() < 0.7 else "other" for text in answers]
    unsure = rng.integers(-5, 6, len(answers)).astype(float)  # with many equal ones

    def at(threshold: float) -> dict[str, float]:
        return score_answers(answers, references, no_answer_scores=unsure, threshold=threshold).metrics

    tried = [at(threshold) for threshold in np.arange(-6, 7)]
    for name in ("exact_match", "f1"):
        best = max(scores[name] for scores in tried)
        assert tried[0][f"best_{name}"] == pytest.approx(best)
        assert at(tried[0][f"best_{name}_threshold"])[name] == pytest.approx(best)


def test_where_no_question_has_an_answer_none_is_given_at_the_best_threshold() -> None:
    scores = score_answers(["cat", "dog"], [[], []], no_answer_scores=[-1, -2]).metrics
    assert (scores["f1"], scores["best_f1"]) == (0, 100)
    assert scores["best_f1_threshold"] < -2
    assert "has_answer_f1" not in scores


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(InputError, match="take version 2"):
        score_answers(["cat"], [[]], version_2=False)
    with pytest.raises(InputError, match="one to each"):
        score_answers(["cat"], [["cat"], ["dog"]])
