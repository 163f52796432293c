"""Answers from start and end logits over the windows of each context.

As in BERT's evaluation of SQuAD: an answer's score is the sum of its start and its end logit; no answer scores what the
window's first token does, and of several windows the one that is least sure of it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilbert_common.errors import InputError

__all__ = ["Answer", "Span", "SpanOptions", "decode_answers"]

WINDOWS = 256
"""How many windows are decoded at once: 256 with 20 starts and 20 ends each take some 10 MB."""

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SpanOptions:
    """Which answers are looked for.

    Attributes:
        n_best: How many answers each question gets, and how many starts and ends each window brings into the choice.
        max_answer_length: The most tokens that an answer may have.
        allow_no_answer: Whether a question may be left without an answer.
        no_answer_threshold: It is, where no answer scores higher than the best answer by more than this.
    """

    n_best: int = 20
    max_answer_length: int = 30
    allow_no_answer: bool = False
    no_answer_threshold: float = 0.0


@dataclass(frozen=True)
class Span:
    """A possible answer.

    Attributes:
        text: A part of the context; "" for no answer.
        start: The index in the context of its first character.
        end: The index after its last character.
        score: The sum of its start and end logit.
        probability: The softmax of the scores of all answers in the list.
    """

    text: str
    start: int
    end: int
    score: float
    probability: float = 1.0


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        best: The answer; its text is "" where there is none.
        best_text: The best text, also where no answer is better.
        no_answer_score: How much higher no answer scores than the best text.
        n_best: The best answers, best first; no answer is among them where it is allowed.
    """

    best: Span
    best_text: str
    no_answer_score: float
    n_best: tuple[Span, ...]


@dataclass(frozen=True)
class _Candidates:
    """Spans of all examples: arrays (spans,), by example, best first."""

    example: Ints
    start: Ints
    end: Ints
    score: NDArray[np.float64]


def decode_answers(
    start_logits: Sequence[ArrayLike],
    end_logits: Sequence[ArrayLike],
    offsets: Sequence[ArrayLike],
    example: ArrayLike,
    contexts: Sequence[str],
    options: SpanOptions | None = None,
) -> list[Answer]:
    """Return the answer to each question.

    Args:
        start_logits: For each window, (seq,).
        end_logits: For each window, (seq,).
        offsets: For each window, (seq, 2): where in the context a token starts and ends; -1 for other tokens.
        example: (windows,) the question that each window belongs to.
        contexts: (questions,) the context of each.
        options: Which answers are looked for.

    Raises:
        InputError: Windows differ in number.
    """
    options = options or SpanOptions()
    owner = np.asarray(example, np.int64).reshape(-1)
    if not len(start_logits) == len(end_logits) == len(offsets) == len(owner):
        raise InputError(
            f"{len(start_logits)} start logits, {len(end_logits)} end logits, {len(offsets)} offsets and {len(owner)} "
            "examples were given; give one of each for every window"
        )
    chunks = [slice(first, first + WINDOWS) for first in range(0, len(owner), WINDOWS)]
    spans = _sorted(
        [
            _candidates(start_logits[indices], end_logits[indices], offsets[indices], owner[indices], options)
            for indices in chunks
        ]
    )
    no_answer = _no_answer_scores(start_logits, end_logits, owner, len(contexts)).tolist()
    bounds = np.searchsorted(spans.example, np.arange(len(contexts) + 1)).tolist()
    examples = zip(contexts, bounds[:-1], bounds[1:], no_answer, strict=True)
    return [
        _answer(_spans(context, spans, first, last, options.n_best), none, options)
        for context, first, last, none in examples
    ]


def _no_answer_scores(
    starts: Sequence[ArrayLike], ends: Sequence[ArrayLike], owner: Ints, examples: int
) -> NDArray[np.float64]:
    """Return the score of no answer to each question, (examples,); infinite for one without windows."""
    scores = np.full(examples, np.inf)
    firsts = [float(np.asarray(s)[0]) + float(np.asarray(e)[0]) for s, e in zip(starts, ends, strict=True)]
    np.minimum.at(scores, owner, firsts)
    return scores


def _candidates(
    starts: Sequence[ArrayLike],
    ends: Sequence[ArrayLike],
    offsets: Sequence[ArrayLike],
    owner: Ints,
    options: SpanOptions,
) -> _Candidates:
    """Return the spans that the best starts and ends of some windows make."""
    characters = _padded(offsets, -1).astype(np.int64)  # (windows, seq, 2)
    outside = characters[..., 0] < 0  # (windows, seq)
    start_logits, end_logits = (np.where(outside, -np.inf, _padded(side, -np.inf)) for side in (starts, ends))
    first, last = (_highest(logits, options.n_best) for logits in (start_logits, end_logits))  # (windows, n)
    start_scores, end_scores = (
        np.take_along_axis(logits, indices, 1) for logits, indices in ((start_logits, first), (end_logits, last))
    )
    scores = start_scores[:, :, None] + end_scores[:, None, :]  # (windows, n, n)
    tokens = last[:, None, :] - first[:, :, None] + 1  # (windows, n, n)
    window, i, j = np.nonzero((tokens >= 1) & (tokens <= options.max_answer_length) & np.isfinite(scores))
    return _Candidates(
        owner[window],
        characters[window, first[window, i], 0],
        characters[window, last[window, j], 1],
        scores[window, i, j].astype(np.float64),
    )


def _padded(rows: Sequence[ArrayLike], fill: float) -> NDArray[np.float64]:
    """Stack rows (seq, …) of different lengths: (rows, longest, …)."""
    arrays = [np.asarray(row) for row in rows]
    out = np.full((len(arrays), max(map(len, arrays)), *arrays[0].shape[1:]), fill, np.float64)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out


def _highest(logits: Floats, count: int) -> Ints:
    """Return the indices of the highest logits of each row, in order of place: (rows, seq) -> (rows, count or seq)."""
    if count >= logits.shape[1]:
        return np.broadcast_to(np.arange(logits.shape[1]), logits.shape)
    return np.sort(np.argpartition(-logits, count - 1, axis=1)[:, :count], axis=1)


def _sorted(parts: Sequence[_Candidates]) -> _Candidates:
    """Join spans: by example, the highest score first, of equal scores the first in the text; each span once."""
    names = ("example", "start", "end", "score")
    example, start, end, score = (np.concatenate([getattr(part, name) for part in parts] or [[]]) for name in names)
    order = np.lexsort((-score, end, start, example))  # a span in two windows: the higher score is the first
    keys = np.stack([example, start, end])[:, order]
    order = order[np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0))[: len(order)]]
    order = order[np.lexsort((end[order], start[order], -score[order], example[order]))]
    return _Candidates(example[order], start[order], end[order], score[order])


def _spans(context: str, spans: _Candidates, first: int, last: int, n_best: int) -> list[Span]:
    """Return the best spans of one example, which are at first..last."""
    last = min(last, first + n_best)
    columns = (array[first:last].tolist() for array in (spans.start, spans.end, spans.score))
    return [Span(context[start:end], start, end, score) for start, end, score in zip(*columns, strict=True)]


def _answer(spans: list[Span], no_answer: float, options: SpanOptions) -> Answer:
    """Choose between the best spans of one example and no answer."""
    empty = Span("", 0, 0, no_answer if np.isfinite(no_answer) else 0.0)
    best = spans[0] if spans else empty
    no_answer_score = no_answer - best.score if spans else 0.0
    listed = spans or [empty]
    if options.allow_no_answer:
        listed = sorted([*spans, empty], key=lambda span: -span.score)[: options.n_best]
        listed += [span for span in (best, empty) if span not in listed]  # what is chosen between is always listed
    listed = _with_probabilities(listed)
    unanswered = options.allow_no_answer and no_answer_score > options.no_answer_threshold
    text = "" if unanswered else best.text
    return Answer(next(span for span in listed if span.text == text), best.text, no_answer_score, tuple(listed))


def _with_probabilities(spans: list[Span]) -> list[Span]:
    scores = np.array([span.score for span in spans])
    weights = np.exp(scores - scores.max())
    return [replace(span, probability=float(p)) for span, p in zip(spans, weights / weights.sum(), strict=True)]
