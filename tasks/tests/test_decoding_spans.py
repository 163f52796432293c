"""Answers from logits, beside a search of all spans."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from distilbert_common.errors import InputError
from distilbert_tasks.decoding import Answer, SpanOptions, decode_answers

CONTEXT = " ".join(f"word{i}" for i in range(40))


def windows(seed: int, count: int = 7) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Return logits and offsets of windows of the context: [CLS], 3 tokens of a question, [SEP], words, [SEP]."""
    rng = np.random.default_rng(seed)
    word_spans = np.array([(CONTEXT.index(word), CONTEXT.index(word) + len(word)) for word in CONTEXT.split()])
    offsets = [np.full((n + 6, 2), -1) for n in rng.integers(1, 12, count)]
    for window in offsets:
        first = rng.integers(0, 41 - (len(window) - 6))
        window[5:-1] = word_spans[first : first + len(window) - 6]
    starts, ends = ([rng.normal(size=len(window)).astype(np.float32) for window in offsets] for _ in range(2))
    return starts, ends, offsets


def all_spans(starts: Any, ends: Any, offsets: Any, longest: int) -> dict[tuple[int, int], float]:
    """Return the score of every span of the context, by its characters."""
    scores: dict[tuple[int, int], float] = {}
    for start_logits, end_logits, window in zip(starts, ends, offsets, strict=True):
        for i in range(5, len(window) - 1):
            for j in range(i, min(i + longest, len(window) - 1)):
                span = int(window[i][0]), int(window[j][1])
                scores[span] = max(scores.get(span, -np.inf), float(start_logits[i]) + float(end_logits[j]))
    return scores


@pytest.mark.parametrize("allow_no_answer", [False, True])
@pytest.mark.parametrize("longest", [1, 4, 30])
def test_the_best_spans_are_those_of_a_search_of_all(longest: int, allow_no_answer: bool) -> None:
    for seed in range(20):
        starts, ends, offsets = windows(seed)
        options = SpanOptions(n_best=30, max_answer_length=longest, allow_no_answer=allow_no_answer)
        (answer,) = decode_answers(starts, ends, offsets, [0] * len(starts), [CONTEXT], options)
        scores = all_spans(starts, ends, offsets, longest)
        no_answer = min(float(s[0]) + float(e[0]) for s, e in zip(starts, ends, strict=True))
        if allow_no_answer:
            scores[0, 0] = no_answer
        ranked = sorted(scores.items(), key=lambda item: -item[1])[:30]
        listed = answer.n_best[: len(ranked)]
        assert [(span.start, span.end) for span in listed] == [span for span, _ in ranked]
        assert [span.score for span in listed] == pytest.approx([score for _, score in ranked], abs=1e-6)  # float32
        assert all(span.text == CONTEXT[span.start : span.end] for span in listed)
        assert sum(span.probability for span in answer.n_best) == pytest.approx(1)
        assert answer.no_answer_score == pytest.approx(
            no_answer - max(v for k, v in scores.items() if k != (0, 0)), abs=1e-6
        )


def test_each_question_has_its_own_windows() -> None:
    starts, ends, offsets = windows(0, count=300)  # more than are decoded at once
    owner = np.arange(300) // 3
    answers = decode_answers(starts, ends, offsets, owner, [CONTEXT] * 100)
    for question in (0, 57, 85, 99):
        rows = slice(3 * question, 3 * question + 3)
        assert [answers[question]] == decode_answers(starts[rows], ends[rows], offsets[rows], [0] * 3, [CONTEXT])


def one_window(start: list[float], end: list[float], **options: Any) -> Answer:
    """Decode [CLS], one word of a question, [SEP], "ab cd", [SEP]."""
    offsets = [(-1, -1), (-1, -1), (-1, -1), (0, 2), (3, 5), (-1, -1)]
    (answer,) = decode_answers([start], [end], [offsets], [0], ["ab cd"], SpanOptions(**options))
    return answer


def test_only_the_context_answers() -> None:
    answer = one_window([9, 9, 9, 1, 0, 9], [9, 9, 9, 0, 1, 9])
    assert (answer.best.text, answer.best.start, answer.best.end) == ("ab cd", 0, 5)
    assert "" not in [span.text for span in answer.n_best]


def test_no_more_answers_are_listed_than_asked_for() -> None:
    logits = [-9.0, 0, 0, 2, 1, 0], [-9.0, 0, 0, 2, 1, 0]
    for n_best, texts in ((1, ["ab"]), (2, ["ab", "ab cd"]), (3, ["ab", "ab cd", "cd"])):
        assert [span.text for span in one_window(*logits, n_best=n_best).n_best] == texts
    listed = one_window(*logits, n_best=2, allow_no_answer=True).n_best
    assert [span.text for span in listed] == ["ab", "ab cd", ""]


def test_no_answer_wins_by_the_threshold() -> None:
    logits = [3.0, 0, 0, 1, 0, 0], [3.0, 0, 0, 0, 1, 0]  # no answer scores 6, "ab cd" 2
    assert one_window(*logits, allow_no_answer=True).best.text == ""
    assert one_window(*logits, allow_no_answer=True).no_answer_score == 4
    assert one_window(*logits, allow_no_answer=True).best_text == "ab cd"
    assert one_window(*logits, allow_no_answer=True, no_answer_threshold=4.0).best.text == "ab cd"
    assert one_window(*logits).best.text == "ab cd"
    listed = one_window(*logits, allow_no_answer=True, n_best=1, no_answer_threshold=5.0)
    assert [span.text for span in listed.n_best] == ["", "ab cd"]


def test_a_question_without_context_has_no_answer() -> None:
    nothing, only_question = decode_answers([[1.0, 2.0]], [[1.0, 2.0]], [[(-1, -1)] * 2], [1], ["", "no window"])
    assert (nothing.best.text, only_question.best.text) == ("", "")
    assert decode_answers([], [], [], [], []) == []


def test_windows_that_differ_in_number_are_refused() -> None:
    with pytest.raises(InputError, match="one of each for every window"):
        decode_answers([[1.0]], [[1.0]], [], [0], ["a"])
