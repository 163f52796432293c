"""Multiple choice: which of several texts goes with a prompt. transformers has no such pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.pipelines.base import Pipeline, TokenizerOptions
from distilbert_tasks.pipelines.encoded import Encoded, token_lists
from distilbert_tasks.pipelines.inputs import require_text
from distilbert_tasks.pipelines.runner import Outputs
from distilbert_tasks.pipelines.scores import softmax

__all__ = ["MultipleChoicePipeline"]


@dataclass(frozen=True, kw_only=True)
class MultipleChoiceOptions(TokenizerOptions):
    """The options of one call.

    Attributes:
        top_k: How many choices are returned; None for all.
    """

    top_k: int | None


class MultipleChoicePipeline(Pipeline):
    """Chooses one of several texts: `pipeline("multiple-choice")`."""

    task: ClassVar[str] = "multiple-choice"
    head: ClassVar[str] = "ForMultipleChoice"

    def __call__(self, inputs: Any = None, **options: Any) -> Any:
        """Rank the choices of examples.

        Args:
            inputs: `{"prompt": …, "choices": […]}`, a list of them, or a generator; `prompt` may be "" or left out.
                Examples may differ in the number of choices.
            **options: `prompt` and `choices` in place of `inputs`; `top_k`, how many choices to return, all by default;
                `batch_size`; whatever else goes to the tokenizer, as `truncation="only_first"`.

        Returns:
            For each example a list of `{"label": …, "choice": …, "score": …}`, the likeliest choice first: its number
            from 0, its text, its probability among the choices.

        Raises:
            InputError: An example or an option cannot be used.
        """
        if inputs is None:
            inputs = {name: options.pop(name) for name in ("prompt", "choices") if name in options}
        return super().__call__(inputs, **options)

    def _parse(self, *, top_k: int | None = None, **tokenizer: Any) -> MultipleChoiceOptions:
        if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
            raise InputError(f"top_k is {top_k!r}; expected at least 1, or None for all choices")
        tokenizer.pop("return_tensors", None)
        return MultipleChoiceOptions(top_k=top_k, tokenizer=tokenizer)

    def _encode(self, examples: Sequence[Any], options: MultipleChoiceOptions) -> list[Encoded]:
        pairs = [_prompt_and_choices(example) for example in examples]
        texts = [[prompt, choice] if prompt else choice for prompt, choices in pairs for choice in choices]
        lists = iter(token_lists(self.tokenizer(texts, **options.tokenizer)))
        return [Encoded([next(lists) for _ in choices], choices) for _, choices in pairs]

    def _read(self, tokens: Sequence[int], outputs: Outputs) -> np.float32:
        """Return the logit of one choice."""
        logit: np.float32 = outputs["logits"][0]
        return logit

    def _decode(self, encoded: Encoded, outputs: Sequence[Any], options: MultipleChoiceOptions) -> list[dict[str, Any]]:
        scores = softmax(np.asarray(outputs, np.float32))  # (choices,)
        order = np.argsort(-scores, kind="stable")[: options.top_k].tolist()
        return [{"label": i, "choice": encoded.details[i], "score": float(scores[i])} for i in order]


def _prompt_and_choices(example: Any) -> tuple[str, list[str]]:
    """Return the two parts of an example.

    Raises:
        InputError: It is none.
    """
    if not isinstance(example, Mapping) or "choices" not in example:
        raise InputError(f'an example is {example!r:.80}; expected {{"prompt": …, "choices": […]}}')
    choices = example["choices"]
    if isinstance(choices, str) or not choices:
        raise InputError(f"choices are {choices!r}; expected a list of texts")
    prompt = example.get("prompt")
    texts = [require_text(text, "a choice") for text in choices]
    return require_text("" if prompt is None else prompt, "prompt"), texts
