"""SQuAD's scores of answers: exact match and F1, from 0 to 100, by the rules of version 1.1 and of version 2.

Answers are compared in lower case, without punctuation, articles and extra spaces. In version 2 a question may have no
answer: then the empty answer is the right one. Whether to answer is decided by how much likelier no answer is than the
best one; the threshold at which the scores are best is reported too.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilbert_common.errors import InputError
from distilbert_tasks.metrics.scores import Scores

__all__ = ["answer_f1", "exact_match", "normalize_answer", "score_answers"]

Floats = NDArray[np.float64]
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalize_answer(text: str) -> str:
    """Return an answer in lower case, without punctuation, English articles and extra spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, reference: str) -> float:
    """Return 1 where two answers are the same once they are normalized, else 0."""
    return float(normalize_answer(answer) == normalize_answer(reference))


def answer_f1(answer: str, reference: str, *, version_2: bool = False) -> float:
    """Return F1 of the words of two answers, from 0 to 1.

    Args:
        answer: The predicted answer.
        reference: The right one.
        version_2: Whether two answers without words are the same; in version 1.1 they have nothing in common.
    """
    words, expected = normalize_answer(answer).split(), normalize_answer(reference).split()
    if version_2 and not (words and expected):
        return float(words == expected)
    common = sum((Counter(words) & Counter(expected)).values())
    return 2 * common / (len(words) + len(expected)) if common else 0.0


def score_answers(
    answers: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    version_2: bool | None = None,
    no_answer_scores: ArrayLike | None = None,
    threshold: float = 0.0,
) -> Scores:
    """Score the answers to questions.

    Args:
        answers: (questions,) the best answer to each; "" for no answer.
        references: (questions,) the right answers to each, of which the most similar counts; [] for none.
        version_2: Whether version 2's rules hold; None: where a question has no answer.
        no_answer_scores: (questions,) how much likelier no answer is than the best answer, on any scale.
        threshold: A question whose score is above this is not answered.

    Returns:
        `exact_match` and `f1`. In version 2 also those of the questions with an answer (`has_answer_f1`) and without
        (`no_answer_f1`); with scores, the best that a threshold can reach and that threshold (`best_f1`,
        `best_f1_threshold`).

    Raises:
        InputError: There is no question, numbers differ, or version 1.1 is asked for and a question has no answer.
    """
    if not len(answers) or len(answers) != len(references):
        raise InputError(f"{len(answers)} answers were given to {len(references)} questions; give one to each")
    answerable = np.array([any(map(normalize_answer, texts)) for texts in references])  # (questions,)
    if version_2 is None:
        version_2 = not all(map(len, references))
    if not version_2:
        if not all(map(len, references)):
            raise InputError("a question has no answer, which SQuAD 1.1 does not have; take version 2's rules")
        return Scores(_totals(_best(answers, references, version_2=False)))
    texts = [[text for text in one if normalize_answer(text)] or [""] for one in references]
    raw = _best(answers, texts, version_2=True)
    if no_answer_scores is None:
        return Scores({**_totals(raw), **_parts(raw, answerable)})
    no_answer = np.asarray(no_answer_scores, np.float64)
    thresholded = {name: np.where(no_answer > threshold, ~answerable, values) for name, values in raw.items()}
    return Scores(
        {**_totals(thresholded), **_parts(thresholded, answerable), **_best_thresholds(raw, answerable, no_answer)}
    )


def _best(answers: Sequence[str], references: Sequence[Sequence[str]], *, version_2: bool) -> dict[str, Floats]:
    """Return, by metric, the score of each answer beside its most similar reference: (questions,) from 0 to 1."""
    pairs = list(zip(answers, references, strict=True))
    exact = [max(exact_match(answer, text) for text in texts) for answer, texts in pairs]
    f1 = [max(answer_f1(answer, text, version_2=version_2) for text in texts) for answer, texts in pairs]
    return {"exact_match": np.array(exact), "f1": np.array(f1)}


def _totals(scores: dict[str, Floats]) -> dict[str, float]:
    return {name: 100 * float(values.mean()) for name, values in scores.items()}


def _parts(scores: dict[str, Floats], answerable: NDArray[np.bool_]) -> dict[str, float]:
    """Return the totals of the questions with and without an answer; of neither where there are none."""
    parts = {"has_answer": answerable, "no_answer": ~answerable}
    return {
        f"{part}_{name}": total
        for part, rows in parts.items()
        if rows.any()
        for name, total in _totals({name: values[rows] for name, values in scores.items()}).items()
    }


def _best_thresholds(raw: dict[str, Floats], answerable: NDArray[np.bool_], no_answer: Floats) -> dict[str, float]:
    """Return the best total of each metric and its threshold; questions of equal score are answered together."""
    levels, level = np.unique(no_answer, return_inverse=True)  # (levels,), (questions,)
    best: dict[str, float] = {}
    for name, values in raw.items():
        gains = np.bincount(level, weights=values - ~answerable)  # (levels,) what answering them changes
        totals = np.append(0.0, np.cumsum(gains)) + (~answerable).sum()  # (levels + 1,)
        best_level = int(totals.argmax())
        best[f"best_{name}"] = 100 * float(totals[best_level]) / len(answerable)
        # Below the lowest score nothing is answered.
        best[f"best_{name}_threshold"] = float(
            levels[best_level - 1] if best_level else np.nextafter(levels[0], -np.inf)
        )
    return best
