"""Question answering: the parts of a text that answer a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from distilbert_common.errors import InputError, TokenizerError
from distilbert_tasks.pipelines.base import Pipeline
from distilbert_tasks.pipelines.encoded import Encoded
from distilbert_tasks.pipelines.inputs import Form, read_examples
from distilbert_tasks.pipelines.questions import pairs_of, questions_of
from distilbert_tasks.pipelines.spans import Spans, best_spans

__all__ = ["QuestionAnsweringPipeline"]

MAX_SEQ_LEN, DOC_STRIDE = 384, 128
Answer = dict[str, Any]


@dataclass(frozen=True)
class QuestionAnsweringOptions:
    """The options of one call.

    Attributes:
        top_k: How many answers are returned.
        max_answer_len: The most tokens in an answer.
        handle_impossible_answer: Whether no answer is among the answers.
        align_to_words: Whether answers are made to start and end with words.
        max_seq_len: How many tokens a window has, with the question.
        doc_stride: How many tokens of the context windows share.
        max_question_len: How many tokens of the question are read; None for all.
    """

    top_k: int
    max_answer_len: int
    handle_impossible_answer: bool
    align_to_words: bool
    max_seq_len: int
    doc_stride: int
    max_question_len: int | None


class QuestionAnsweringPipeline(Pipeline):
    """Answers questions about texts: `pipeline("question-answering")`."""

    task: ClassVar[str] = "question-answering"
    head: ClassVar[str] = "ForQuestionAnswering"
    is_per_token: ClassVar[bool] = True
    too_long_advice: ClassVar[str] = "pass a smaller max_seq_len, so that the context makes more windows"

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Answer questions.

        Args:
            *inputs: `{"question": …, "context": …}`, a list of them, a generator, or question and context by position.
            **options: `question` and `context`, each a text or a list, in place of `inputs`; `top_k`, how many answers,
                1 by default; `max_answer_len`, the most tokens in one, 15; `handle_impossible_answer`, whether "" is an
                answer too; `align_to_words`, whether answers are whole words, True; `max_seq_len`, how many tokens a
                window has with the question, 384; `doc_stride`, how many windows share, 128; `max_question_len`, how
                many of the question are read, all by default; `batch_size`.

        Returns:
            `{"score": …, "start": …, "end": …, "answer": …}` for each question, or a list of them, the likeliest
            first, where it has several answers. A list of one question gives that question's result.

        Raises:
            InputError: A question or a context is missing or empty, or an option cannot be used.
        """
        examples, form = read_examples(questions_of(inputs, options))
        if form is not Form.STREAM:
            pairs = [pair for example in examples for pair in pairs_of(example)]
            examples, form = pairs, Form.SINGLE if len(pairs) == 1 else Form.LIST
        return self._run(examples, form, options)

    def _parse(
        self, *, top_k: int | None = None, topk: int | None = None, max_answer_len: int | None = None,
        handle_impossible_answer: bool = False, align_to_words: bool = True, max_seq_len: int | None = None,
        doc_stride: int | None = None, max_question_len: int | None = None, padding: Any = None,
    ) -> QuestionAnsweringOptions:  # fmt: skip
        counts = {"top_k": topk if top_k is None else top_k, "max_answer_len": max_answer_len}
        for name, count in counts.items():
            if count is not None and count < 1:
                raise InputError(f"{name} is {count}; expected at least 1")
        length = min(self.tokenizer.model_max_length, MAX_SEQ_LEN) if max_seq_len is None else max_seq_len
        stride = min(length // 2, DOC_STRIDE) if doc_stride is None else doc_stride
        if stride > length:
            raise InputError(f"doc_stride is {stride}; expected at most max_seq_len, {length}")
        return QuestionAnsweringOptions(
            counts["top_k"] or 1,
            counts["max_answer_len"] or 15,
            handle_impossible_answer,
            align_to_words,
            length,
            stride,
            max_question_len,
        )

    def _encode(self, examples: Sequence[Any], options: QuestionAnsweringOptions) -> list[Encoded]:
        pairs = [pairs_of(example)[0] for example in examples]
        questions = [self._cut(question, options.max_question_len) for question, _ in pairs]
        contexts = [context for _, context in pairs]
        try:
            batch = self.tokenizer(
                questions,
                contexts,
                truncation="only_second",
                max_length=options.max_seq_len,
                stride=options.doc_stride,
                return_overflowing_tokens=True,
            )
        except TokenizerError as error:
            raise InputError(
                f"a question leaves no room for windows of its context: {error}. Pass max_question_len to cut "
                "questions, a larger max_seq_len, or a smaller doc_stride"
            ) from error
        windows: list[list[Any]] = [[] for _ in pairs]
        for row, example in enumerate(batch["overflow_to_sample_mapping"]):
            windows[example].append(batch[row])
        by_context = zip(contexts, windows, strict=True)
        return [
            Encoded([one.ids for one in context_windows], (context, context_windows))
            for context, context_windows in by_context
        ]

    def _cut(self, question: str, length: int | None) -> str:
        """Return the first tokens of a question, as they stand in the text."""
        if length is None:
            return question
        encoded = self.tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)
        ends = encoded["offset_mapping"][:length]
        return question if len(ends) == len(encoded["input_ids"]) else question[: ends[-1][1]]

    def _decode(self, encoded: Encoded, outputs: Sequence[Any], options: QuestionAnsweringOptions) -> Any:
        context, windows = encoded.details
        candidates = 2 * options.top_k + 10 if options.align_to_words else options.top_k  # some of them are one word
        answers: dict[str, Answer] = {}
        no_answer = 1e6
        for window, output in zip(windows, outputs, strict=True):
            spans = best_spans(
                output["start_logits"],
                output["end_logits"],
                self._candidates(window),
                candidates,
                options.max_answer_len,
            )
            no_answer = min(no_answer, spans.no_answer)
            _add(answers, context, window, spans, options.align_to_words)
        ranked = list(answers.values())
        if options.handle_impossible_answer or not ranked:
            score = no_answer if options.handle_impossible_answer else 0.0
            ranked.append({"score": score, "start": 0, "end": 0, "answer": ""})
        ranked = sorted(ranked, key=lambda answer: -answer["score"])[: options.top_k]
        return ranked[0] if len(ranked) == 1 else ranked

    def _candidates(self, window: Any) -> Any:
        """Return which tokens an answer may start or end with, (seq,): those of the context, and [CLS] for none."""
        is_context = np.asarray([sequence == 1 for sequence in window.sequence_ids])
        return is_context | (np.asarray(window.ids) == self.tokenizer.cls_token_id)


def _add(answers: dict[str, Answer], context: str, window: Any, spans: Spans, align_to_words: bool) -> None:
    """Add the answers of a window to those by their lower-cased text; the scores of equal ones add up."""
    for first, last, score in zip(spans.starts.tolist(), spans.ends.tolist(), spans.scores.tolist(), strict=True):
        start, end = _characters(window, first, last, align_to_words)
        text = context[start:end]
        if text.lower() in answers:
            answers[text.lower()]["score"] += score
        else:
            answers[text.lower()] = {"score": score, "start": start, "end": end, "answer": text}


def _characters(window: Any, first: int, last: int, align_to_words: bool) -> tuple[int, int]:
    """Return where in the context a span of tokens starts and ends, or the words that these are of."""
    if align_to_words:
        words = (window.token_to_word(token) for token in (first, last))
        start, end = (None if word is None else window.word_to_chars(word, 1) for word in words)
        if start is not None and end is not None:
            return start.start, end.end
    return window.offsets[first][0], window.offsets[last][1]
