"""Spans: from the logits of starts and ends to the likeliest answers of a window, by probability."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distilbert_tasks.pipelines.scores import Floats, softmax, top

__all__ = ["Spans", "best_spans"]

OUTSIDE = -10000.0
"""The logit of a token that no answer may start or end with; exp of it is 0."""


class Spans(NamedTuple):
    """The likeliest spans of a window, the likeliest first.

    Attributes:
        starts: (spans,) first tokens.
        ends: (spans,) last tokens.
        scores: (spans,) the product of the probabilities of both, which is above 0.
        no_answer: That of the window's first token, which stands for no answer.
    """

    starts: NDArray[np.intp]
    ends: NDArray[np.intp]
    scores: Floats
    no_answer: float


def best_spans(
    start_logits: Floats, end_logits: Floats, is_candidate: NDArray[np.bool_], count: int, max_length: int
) -> Spans:
    """Return the likeliest spans of a window.

    A span whose score is 0 is none: transformers may list such, in an order that depends on how a machine sorts.

    Args:
        start_logits: (seq,).
        end_logits: (seq,).
        is_candidate: (seq,) whether an answer may start or end with a token; True for the first one.
        count: How many spans.
        max_length: The most tokens in a span.
    """
    start, end = (softmax(np.where(is_candidate, logits, np.float32(OUTSIDE))) for logits in (start_logits, end_logits))
    no_answer = float(start[0] * end[0])
    start[0] = end[0] = 0.0
    scores = np.tril(np.triu(start[:, None] * end), max_length - 1)  # (seq, seq): by start and end
    indices = np.flatnonzero(scores)
    indices = indices[top(scores.reshape(-1)[indices], count)]
    starts, ends = np.unravel_index(indices, scores.shape)
    return Spans(starts, ends, scores[starts, ends], no_answer)
