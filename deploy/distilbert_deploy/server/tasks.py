"""What each task takes: its examples, its parameters, and what the pipeline is told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distilbert_deploy.server.schemas import Schema

__all__ = ["CONTRACTS", "TaskContract"]

MAX_LABELS = 100
"""How many candidate labels, choices or targets a request may have: each is a text of its own to the model."""
MAX_TOP_K = 100

_TEXT: Schema = {"type": "string"}
_TOP_K: Schema = {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_TOP_K}
_TEXTS: Schema = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MAX_LABELS}
_FLAG: Schema = {"type": "boolean"}
_TRUNCATION: Schema = {"type": "boolean", "description": "Whether a text that is too long is cut, or refused."}


@dataclass(frozen=True, kw_only=True)
class TaskContract:
    """What requests of a task hold.

    Attributes:
        fields: The fields of an example that is an object, each with its schema; a text unless said otherwise.
        required: Those that it must have.
        parameters: What `parameters` may hold, each with its schema.
        sample: An example, for the pages.
        result: What an example's result is, in words.
        sample_parameters: Parameters for the pages, where the example needs some.
    """

    fields: Mapping[str, Schema] = field(default_factory=lambda: {"text": _TEXT})
    required: tuple[str, ...] = ("text",)
    parameters: Mapping[str, Schema]
    sample: Any
    result: str
    sample_parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def takes_text(self) -> bool:
        """Whether a plain text is an example too: one that needs nothing else."""
        return self.required == ("text",)

    @property
    def example_schema(self) -> Schema:
        """The schema of one example."""
        record = {"type": "object", "properties": dict(self.fields), "required": list(self.required)}
        return {"oneOf": [_TEXT, record]} if self.takes_text else record


CONTRACTS: dict[str, TaskContract] = {
    "text-classification": TaskContract(
        fields={"text": _TEXT, "text_pair": _TEXT},
        parameters={
            "top_k": {**_TOP_K, "description": "How many labels, the likeliest first; null for all."},
            "function_to_apply": {"type": "string", "enum": ["sigmoid", "softmax", "none"]},
            "truncation": _TRUNCATION,
        },
        sample="I lost my card yesterday, what should I do?",
        result='{"label", "score"}; a list of them with top_k, and for a text that is sent alone',
    ),
    "token-classification": TaskContract(
        parameters={
            "aggregation_strategy": {"type": "string", "enum": ["none", "simple", "first", "average", "max"]},
            "ignore_labels": {"type": "array", "items": _TEXT, "maxItems": 1000},
            "stride": {"type": ["integer", "null"], "minimum": 0, "description": "Tokens that two windows share."},
        },
        sample="My name is Sarah and I live in London.",
        result='a list of {"entity" or "entity_group", "score", "index", "word", "start", "end"}',
        sample_parameters={"aggregation_strategy": "simple"},
    ),
    "question-answering": TaskContract(
        fields={"question": _TEXT, "context": _TEXT},
        required=("question", "context"),
        parameters={
            "top_k": {"type": "integer", "minimum": 1, "maximum": 20},
            "max_answer_len": {"type": "integer", "minimum": 1, "maximum": 512},
            "handle_impossible_answer": _FLAG,
            "align_to_words": _FLAG,
            "max_seq_len": {"type": "integer", "minimum": 32},
            "doc_stride": {"type": "integer", "minimum": 0},
            "max_question_len": {"type": "integer", "minimum": 1},
        },
        sample={"question": "Where do I live?", "context": "My name is Sarah and I live in London."},
        result='{"score", "start", "end", "answer"}; a list of them with top_k above 1',
    ),
    "fill-mask": TaskContract(
        parameters={
            "top_k": {"type": "integer", "minimum": 1, "maximum": MAX_TOP_K},
            "targets": {**_TEXTS, "type": ["array", "string"]},
            "truncation": _TRUNCATION,
        },
        sample="Paris is the [MASK] of France.",
        result='a list of {"score", "token", "token_str", "sequence"}; a list of lists where there are several masks',
    ),
    "feature-extraction": TaskContract(
        parameters={"truncation": _TRUNCATION},
        sample="Hello world",
        result="the last hidden states: a list of lists of lists, (1, tokens, dim)",
    ),
    "zero-shot-classification": TaskContract(
        parameters={
            "candidate_labels": {**_TEXTS, "type": ["array", "string"]},
            "hypothesis_template": {"type": "string", "description": "A sentence with {} in the place of the label."},
            "multi_label": _FLAG,
        },
        sample="I lost my card yesterday, what should I do?",
        result='{"sequence", "labels", "scores"}',
        sample_parameters={"candidate_labels": ["lost card", "refund", "exchange rate"]},
    ),
    "multiple-choice": TaskContract(
        fields={"prompt": _TEXT, "choices": _TEXTS},
        required=("choices",),
        parameters={"top_k": _TOP_K, "truncation": _TRUNCATION},
        sample={"prompt": "She put the cup on", "choices": ["the table.", "the cloud."]},
        result='a list of {"label", "choice", "score"}, the likeliest choice first',
    ),
}
"""The contracts by the names of the tasks."""
