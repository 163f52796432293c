"""Text classification: a text, or a pair, to labels with scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from distilbert_common.errors import InputError
from distilbert_common.user_warnings import warn_user
from distilbert_tasks.pipelines.base import Pipeline, TokenizerOptions
from distilbert_tasks.pipelines.encoded import Encoded, token_lists
from distilbert_tasks.pipelines.inputs import read_examples, require_text
from distilbert_tasks.pipelines.scores import Floats, sigmoid, softmax

__all__ = ["TextClassificationPipeline"]

FUNCTIONS = ("sigmoid", "softmax", "none")
_UNSET: Any = object()
_KEYS = {"text", "text_pair", "label", "labels", "idx", "id"}
"""What a dict may hold; rows of a data set have the last four, which are not read."""


@dataclass(frozen=True, kw_only=True)
class TextClassificationOptions(TokenizerOptions):
    """The options of one call.

    Attributes:
        function: "sigmoid", "softmax" or "none".
        top_k: How many labels are returned, the likeliest first; None for all.
        ranked: Whether `top_k` was asked for, so that a result is a list.
    """

    function: str
    top_k: int | None
    ranked: bool


class TextClassificationPipeline(Pipeline):
    """Classifies texts: `pipeline("text-classification")`, also called "sentiment-analysis"."""

    task: ClassVar[str] = "text-classification"
    head: ClassVar[str] = "ForSequenceClassification"

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Classify texts.

        Args:
            inputs: A text, a pair as `{"text": …, "text_pair": …}`, a list of either, a column or a generator.
            **options: `top_k`, how many labels to return, None for all; `function_to_apply`, "sigmoid", "softmax" or
                "none", by default what suits the problem type; `batch_size`; whatever else goes to the tokenizer, as
                `truncation=True`.

        Returns:
            `{"label": …, "score": …}` for each example, in a list for a text that is given alone; with `top_k` a list
            of them, the likeliest first.

        Raises:
            InputError: An example or an option cannot be used.
        """
        examples, form = read_examples(inputs)
        result = self._run(examples, form, options)
        return [result] if isinstance(inputs, str) and "top_k" not in options else result

    def _parse(
        self,
        *,
        top_k: Any = _UNSET,
        function_to_apply: str | None = None,
        return_all_scores: bool | None = None,
        **tokenizer: Any,
    ) -> TextClassificationOptions:
        function = self._default_function() if function_to_apply is None else str(function_to_apply).lower()
        if function not in FUNCTIONS:
            raise InputError(f"function_to_apply is {function_to_apply!r}; expected one of {', '.join(FUNCTIONS)}")
        ranked = isinstance(top_k, int) or top_k is None
        if not ranked:
            top_k = None if _returns_all(return_all_scores) else 1
        if top_k is not None and top_k < 1:
            raise InputError(f"top_k is {top_k}; expected at least 1, or None for all labels")
        tokenizer.pop("return_tensors", None)  # token lists are packed here
        return TextClassificationOptions(function=function, top_k=top_k, ranked=ranked, tokenizer=tokenizer)

    def _default_function(self) -> str:
        """Return what makes scores of logits for the model's problem type."""
        if self.config.problem_type == "regression":
            return "none"
        is_multi_label = self.config.problem_type == "multi_label_classification"
        return "sigmoid" if is_multi_label or self.config.num_labels == 1 else "softmax"

    def _encode(self, examples: Sequence[Any], options: TextClassificationOptions) -> list[Encoded]:
        texts = [_text_or_pair(example) for example in examples]
        batch = self.tokenizer(texts, **options.tokenizer)
        return [Encoded([tokens]) for tokens in token_lists(batch)]

    def _decode(self, encoded: Encoded, outputs: Sequence[Any], options: TextClassificationOptions) -> Any:
        scores = _scores(outputs[0]["logits"], options.function)
        labels = self.config.id2label
        if options.top_k == 1 and not options.ranked:
            best = int(scores.argmax())
            return {"label": labels[best], "score": float(scores[best])}
        results = [{"label": labels[index], "score": float(score)} for index, score in enumerate(scores)]
        if options.ranked:
            results = sorted(results, key=lambda result: -result["score"])[: options.top_k]
        return results


def _scores(logits: Floats, function: str) -> Floats:
    """(labels,) -> scores of the same shape."""
    if function == "none":
        return np.asarray(logits)
    return softmax(logits) if function == "softmax" else sigmoid(logits)


def _text_or_pair(example: Any) -> Any:
    """Return a text, or a list of two.

    Raises:
        InputError: It is neither.
    """
    advice = 'give a text, or a pair as {"text": …, "text_pair": …}'
    if isinstance(example, Mapping):
        if "text" not in example or not _KEYS.issuperset(example):
            raise InputError(f"a dict holds {', '.join(map(str, example))}; {advice}")
        pair = example.get("text_pair")
        text = require_text(example["text"], "text")
        return [text, require_text(pair, "text_pair")] if pair else text
    if isinstance(example, (list, tuple)):
        if len(example) == 1 and isinstance(example[0], (list, tuple)) and len(example[0]) == 2:
            return [require_text(text, "a text of a pair") for text in example[0]]
        raise InputError(f"an example is a list of {len(example)}; {advice}")
    return require_text(example, "an example")


def _returns_all(return_all_scores: bool | None) -> bool:
    """Whether the older option asks for all labels; it is said that it is old."""
    if return_all_scores is not None:
        warn_user("return_all_scores is deprecated; pass top_k=None for all labels", FutureWarning)
    return bool(return_all_scores)
