"""What a question-answering pipeline is called with: questions and contexts, in all forms that transformers takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.pipelines.inputs import require_text

__all__ = ["pairs_of", "questions_of"]


def questions_of(inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    """Return what was asked, by position or by name; names are taken out of the options.

    Raises:
        InputError: There is nothing, or lists of different lengths.
    """
    if len(inputs) == 2 and all(isinstance(one, str) for one in inputs):
        return {"question": inputs[0], "context": inputs[1]}
    if inputs:
        return inputs[0] if len(inputs) == 1 else list(inputs)
    for name in ("data", "X"):
        if name in options:
            return options.pop(name)
    if "question" not in options or "context" not in options:
        raise InputError("give question=… and context=…, or dicts that hold both")
    return {name: options.pop(name) for name in ("question", "context")}


def pairs_of(example: Any) -> list[tuple[str, str]]:
    """Return question and context of an example, several pairs where it holds lists.

    Raises:
        InputError: One is missing or empty, or they differ in number.
    """
    if isinstance(example, tuple) and len(example) == 2:
        return [example]
    if not isinstance(example, Mapping) or "question" not in example or "context" not in example:
        raise InputError(f'an example is {example!r:.80}; expected {{"question": …, "context": …}}')
    question, context = example["question"], example["context"]
    if not isinstance(question, (list, tuple)):
        return [(_checked(question, "question"), _checked(context, "context"))]
    contexts = context if isinstance(context, (list, tuple)) else [context] * len(question)
    if len(question) != len(contexts):
        raise InputError(f"{len(question)} questions and {len(contexts)} contexts were given; give a context for each")
    return [(_checked(q, "question"), _checked(c, "context")) for q, c in zip(question, contexts, strict=True)]


def _checked(value: Any, name: str) -> str:
    """Require a text that is not empty."""
    if not require_text(value, name):
        raise InputError(f"{name} is empty; give a text")
    return str(value)
