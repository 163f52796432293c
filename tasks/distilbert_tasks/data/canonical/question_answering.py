"""Questions, contexts, and the answers in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.data.canonical.values import Columns, is_missing, literal, texts
from distilbert_tasks.data.columns import Chosen
from distilbert_tasks.data.records import Records

__all__ = ["question_answering"]

Answers = dict[str, list[Any]]


def question_answering(records: Records, chosen: Chosen) -> Columns:
    """Return `id`, `question`, `context`, and `answers` as {"text": […], "answer_start": […]}.

    A question without an answer has empty lists. Without a column of ids, rows are numbered.

    Raises:
        InputError: A value is no text, there is no word on answers, or an answer does not stand where it should.
    """
    names = chosen.get("id")
    ids = [str(number) for number in (records.numbers if names is None else records.values(names[0]))]
    columns: Columns = {"id": ids}
    columns["question"] = texts(records, chosen["question"][0])
    columns["context"] = texts(records, chosen["context"][0])
    if "answers" in chosen:
        columns["answers"] = [
            _checked(_answers(records, index, chosen["answers"]), columns["context"][index], records, index, chosen)
            for index in range(len(records))
        ]
    return columns


def _answers(records: Records, index: int, names: Sequence[str]) -> Answers:
    """Return the answers of a row in whatever form it has them: one column, or one of texts and one of starts."""
    values = [literal(records.values(name)[index]) for name in names]
    if len(values) == 2:
        pairs = zip(_as_list(values[0]), _as_list(values[1]), strict=False)
        return _from_pairs(list(pairs))
    value = values[0]
    if isinstance(value, Mapping) and {"text", "answer_start"} <= set(value):
        texts_, starts = _as_list(value["text"]), _as_list(value["answer_start"])
        if len(texts_) != len(starts):
            raise InputError(
                f"{records.where(index, names[0])}: {len(texts_)} texts and {len(starts)} starts of answers"
            )
        return _from_pairs(list(zip(texts_, starts, strict=True)))
    if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, Mapping) for one in value):
        return _from_pairs([(one.get("text"), one.get("answer_start")) for one in value])
    problem = "there are no answers" if value is None else f"{value!r} is not answers"
    raise InputError(
        f'{records.where(index, names[0])}: {problem}; expected {{"text": ["…"], "answer_start": [0]}}, with empty '
        "lists where the context has no answer"
    )


def _from_pairs(pairs: Sequence[tuple[Any, Any]]) -> Answers:
    """Return texts and starts; an empty text is no answer."""
    pairs = [(text, start) for text, start in pairs if not is_missing(text)]
    return {"text": [text for text, _ in pairs], "answer_start": [_as_int(start) for _, start in pairs]}


def _checked(answers: Answers, context: str, records: Records, index: int, chosen: Chosen) -> Answers:
    for text, start in zip(answers["text"], answers["answer_start"], strict=True):
        if not isinstance(text, str) or start is None or start < 0 or context[start : start + len(text)] != text:
            raise InputError(f"{records.where(index, chosen['answers'][0])}: {_problem(text, start, context)}")
    return answers


def _problem(text: Any, start: int | None, context: str) -> str:
    """Return what is wrong with an answer."""
    if not isinstance(text, str):
        return f"the answer {text!r} is not text"
    if start is None or start < 0:
        return f"the answer {text!r} has no answer_start, the number of characters before it in the context"
    position = context.find(text)
    hint = "the context does not hold it" if position < 0 else f"the answer stands at {position}"
    shown = context[start : start + len(text)]
    return f"answer_start {start} points at {shown!r}, not at the answer {text!r}; {hint}"


def _as_list(value: Any) -> list[Any]:
    """Return one value or several as a list; none for a missing one."""
    if isinstance(value, (list, tuple)):
        return list(value)
    return [] if is_missing(value) else [value]


def _as_int(value: Any) -> int | None:
    """Return a whole number, also one that is written as 4.0; None for anything else."""
    try:
        number = float(value)
        return int(number) if number == int(number) else None
    except (TypeError, ValueError, OverflowError):
        return None
