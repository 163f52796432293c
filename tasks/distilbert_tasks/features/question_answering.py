"""Features of question answering: windows of a context after its question, and where the answer is in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_tasks.features.features import Features, Ragged
from distilbert_tasks.features.recipe import Columns, Recipe

__all__ = ["question_answering_features"]

Offsets = NDArray[np.int32]


def question_answering_features(columns: Columns, recipe: Recipe) -> Features:
    """Make features of the columns `question`, `context` and, where they are, `answers`.

    A context that is too long makes several rows. Start and end of an answer are tokens of the row; both are 0, the
    [CLS], where a window does not hold the whole answer or there is none. `details["offsets"]` has for each token its
    start and end in the context, and (-1, -1) for what is not context.

    Args:
        columns: The examples; the first of an example's answers is learned.
        recipe: What they are made with.
    """
    tokenizer, length = recipe.tokenizer, recipe.length
    stride = recipe.options.stride(length)
    most = min(length // 2, length - 4 - stride)  # three special tokens, and one token further in each window
    questions = _short_questions([text.strip() for text in columns["question"]], tokenizer, most)
    if not questions:
        return _features(Ragged.from_lists([]), np.zeros((0, 2), np.int32), np.zeros(0, np.int64), {})
    encoded = tokenizer(
        questions, list(columns["context"]), truncation="only_second", max_length=length, stride=stride,
        return_overflowing_tokens=True, return_offsets_mapping=True, return_token_type_ids=True,
    )  # fmt: skip
    ids = Ragged.from_lists(encoded["input_ids"])
    offsets = np.concatenate([np.asarray(row, np.int32).reshape(-1, 2) for row in encoded["offset_mapping"]])
    is_context = np.concatenate([np.asarray(row) for row in encoded["token_type_ids"]]) == 1
    is_context[ids.offsets[1:] - 1] = False  # the last [SEP]
    offsets[~is_context] = -1
    example = np.asarray(encoded["overflow_to_sample_mapping"], np.int64)
    labels = _positions(columns["answers"], example, offsets, ids) if "answers" in columns else {}
    return _features(ids, offsets, example, labels)


def _short_questions(questions: list[str], tokenizer: Any, most: int) -> list[str]:
    """Cut questions that would leave little room for the context."""
    encoded = tokenizer(questions, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [
        text[: offsets[most - 1][1]] if len(offsets) > most else text
        for text, offsets in zip(questions, encoded["offset_mapping"], strict=True)
    ]


def _positions(
    answers: Sequence[Mapping[str, Any]], example: NDArray[np.int64], offsets: Offsets, ids: Ragged
) -> dict[str, NDArray[np.int32]]:
    """Return the first and the last token of the answer in each row, (rows,) each."""
    spans = [_first_span(answer) for answer in answers]
    positions = [
        (0, 0) if (span := spans[number]) is None else _tokens_of(span, offsets[start:stop])
        for number, start, stop in zip(example, ids.offsets[:-1], ids.offsets[1:], strict=True)
    ]
    array = np.asarray(positions, np.int32).reshape(-1, 2)
    return {"start_positions": array[:, 0].copy(), "end_positions": array[:, 1].copy()}


def _first_span(answer: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return start and end of the first answer in the context, without spaces around it; None where there is none."""
    if not len(answer["answer_start"]):
        return None
    text = answer["text"][0]
    start = int(answer["answer_start"][0]) + len(text) - len(text.lstrip())
    return start, start + len(text.strip())


def _tokens_of(span: tuple[int, int], offsets: Offsets) -> tuple[int, int]:
    """Return the first and the last token that a span of the context covers; (0, 0) if the row does not hold it."""
    context = np.flatnonzero(offsets[:, 0] >= 0)
    if not len(context):
        return 0, 0
    starts, ends = offsets[context, 0], offsets[context, 1]
    if not (starts[0] <= span[0] and span[1] <= ends[-1]):
        return 0, 0
    first = int(np.searchsorted(starts, span[0], side="right")) - 1
    last = int(np.searchsorted(ends, span[1]))
    return int(context[first]), int(context[max(first, last)])


def _features(
    ids: Ragged, offsets: Offsets, example: NDArray[np.int64], labels: Mapping[str, NDArray[np.int32]]
) -> Features:
    details = {"offsets": Ragged(offsets, ids.offsets)}
    return Features(ids, labels, example, details=details, task="question-answering")
