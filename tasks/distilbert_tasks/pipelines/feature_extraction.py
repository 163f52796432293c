"""Feature extraction: a text to the hidden states of its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from distilbert_common.errors import InputError
from distilbert_common.tokenization.tensors import FRAMEWORKS, to_tensor
from distilbert_tasks.pipelines.base import Pipeline, TokenizerOptions
from distilbert_tasks.pipelines.encoded import Encoded, token_lists
from distilbert_tasks.pipelines.inputs import require_text

__all__ = ["FeatureExtractionPipeline"]

TENSORS = {"pt": "pt", "tf": "tf", "flax": "jax"}
"""The kind of tensor of each family."""


@dataclass(frozen=True, kw_only=True)
class FeatureExtractionOptions(TokenizerOptions):
    """The options of one call.

    Attributes:
        tensors: "pt", "tf", "jax" or "np" for a tensor; None for nested lists.
    """

    tensors: str | None


class FeatureExtractionPipeline(Pipeline):
    """Gives the last hidden states of texts: `pipeline("feature-extraction")`."""

    task: ClassVar[str] = "feature-extraction"
    head: ClassVar[str] = "Model"
    is_per_token: ClassVar[bool] = True

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Return the hidden states of texts.

        Args:
            inputs: A text, a list, a column or a generator.
            **options: `truncation`; `tokenize_kwargs`, a dict for the tokenizer; `return_tensors`, True for a tensor of
                the pipeline's framework, or "np", "pt", "tf" or "jax"; `batch_size`.

        Returns:
            Nested lists (1, seq, dim), or a tensor of that shape, for each text; zeros at padding that was asked for.

        Raises:
            InputError: An example or an option cannot be used.
        """
        return super().__call__(inputs, **options)

    def _parse(
        self,
        *,
        truncation: Any = None,
        tokenize_kwargs: Mapping[str, Any] | None = None,
        return_tensors: bool | str | None = None,
    ) -> FeatureExtractionOptions:
        tokenizer = dict(tokenize_kwargs or {})
        if truncation is not None and "truncation" in tokenizer:
            raise InputError("truncation is given twice: as an argument, and in tokenize_kwargs; give it once")
        if truncation is not None:
            tokenizer["truncation"] = truncation
        tokenizer.pop("return_tensors", None)  # token lists are packed here
        tensors = TENSORS[self.framework] if return_tensors is True else return_tensors or None
        if tensors is not None and tensors not in FRAMEWORKS:
            raise InputError(f"return_tensors is {return_tensors!r}; expected True or one of {', '.join(FRAMEWORKS)}")
        return FeatureExtractionOptions(tensors=tensors, tokenizer=tokenizer)

    def _encode(self, examples: Sequence[Any], options: FeatureExtractionOptions) -> list[Encoded]:
        texts = [require_text(example, "an example") for example in examples]
        batch = self.tokenizer(texts, **{**options.tokenizer, "return_attention_mask": True})
        pairs = zip(token_lists(batch), batch["attention_mask"], strict=True)
        return [Encoded([tokens], np.asarray(mask, bool)) for tokens, mask in pairs]

    def _decode(self, encoded: Encoded, outputs: Sequence[Any], options: FeatureExtractionOptions) -> Any:
        hidden_states = _padded(outputs[0]["last_hidden_state"], encoded.details)[None]  # (1, seq, dim)
        if options.tensors is None:
            return hidden_states.tolist()
        return to_tensor("hidden_states", hidden_states, options.tensors)


def _padded(hidden_states: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """(tokens, dim) -> (seq, dim), zeros where the mask is False."""
    if len(hidden_states) == len(mask):
        return hidden_states
    padded = np.zeros((len(mask), hidden_states.shape[1]), hidden_states.dtype)
    padded[mask] = hidden_states
    return padded
