"""Fill-mask: the likeliest tokens in the place of [MASK]."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from distilbert_common.errors import InputError
from distilbert_tasks.pipelines.base import Pipeline, TokenizerOptions
from distilbert_tasks.pipelines.encoded import Encoded, token_lists
from distilbert_tasks.pipelines.inputs import require_text
from distilbert_tasks.pipelines.runner import Outputs
from distilbert_tasks.pipelines.scores import Floats, softmax, top

__all__ = ["FillMaskPipeline"]

_LOGGER = logging.getLogger(__name__)

MAX_LOGITS = 2**24
"""How many logits one call may give: 64 MiB of them."""


@dataclass(frozen=True, kw_only=True)
class FillMaskOptions(TokenizerOptions):
    """The options of one call.

    Attributes:
        top_k: How many tokens are returned for each mask.
        targets: The ids of the tokens to choose from; None for all.
    """

    top_k: int
    targets: NDArray[np.int64] | None


class FillMaskPipeline(Pipeline):
    """Fills masks: `pipeline("fill-mask")`."""

    task: ClassVar[str] = "fill-mask"
    head: ClassVar[str] = "ForMaskedLM"
    is_per_token: ClassVar[bool] = True
    too_long_advice: ClassVar[str] = 'pass tokenizer_kwargs={"truncation": True}, or shorten it'

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Fill the masks of texts.

        Args:
            inputs: A text with [MASK] in it, a list, a column or a generator.
            **options: `top_k`, how many tokens to return, 5 by default; `targets`, a word or a list of words to choose
                from, of which the first piece counts where the vocabulary does not have the word; `tokenizer_kwargs`, a
                dict for the tokenizer; `batch_size`.

        Returns:
            For each text a list of `{"score": …, "token": …, "token_str": …, "sequence": …}`, the likeliest token
            first; for a text with several masks a list of such lists. A list of one text gives that text's result.

        Raises:
            InputError: A text has no mask, or an option cannot be used.
        """
        results = super().__call__(inputs, **options)
        return results[0] if isinstance(inputs, list) and len(inputs) == 1 else results

    def _parse(
        self,
        *,
        top_k: int | None = None,
        targets: str | Iterable[str] | None = None,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
    ) -> FillMaskOptions:
        count = 5 if top_k is None else top_k
        if not isinstance(count, int) or not 1 <= count <= self.config.vocab_size:
            raise InputError(f"top_k is {top_k!r}; expected 1 to {self.config.vocab_size}, the size of the vocabulary")
        tokenizer = {name: value for name, value in (tokenizer_kwargs or {}).items() if name != "return_tensors"}
        target_ids = None if targets is None else self._target_ids(targets)
        return FillMaskOptions(top_k=count, targets=target_ids, tokenizer=tokenizer)

    def _target_ids(self, targets: str | Iterable[str]) -> NDArray[np.int64]:
        """Return the ids of words, each once.

        Raises:
            InputError: There is none.
        """
        vocabulary = self.tokenizer.get_vocab()
        words = [targets] if isinstance(targets, str) else [require_text(word, "a target") for word in targets]
        ids: list[int | None] = [vocabulary[word] if word in vocabulary else self._first_piece(word) for word in words]
        known = dict.fromkeys(index for index in ids if index is not None)
        if not known:
            raise InputError(f"targets are {words!r}, of which the tokenizer makes no token; give at least one word")
        return np.asarray(list(known), np.int64)

    def _first_piece(self, word: str) -> int | None:
        """Return the id of the first piece of a word that the vocabulary does not have, None where it has no piece."""
        ids = self.tokenizer(word, add_special_tokens=False)["input_ids"]
        if not ids:
            _LOGGER.warning("the target %r has no token, and is left out", word)
            return None
        piece = self.tokenizer.convert_ids_to_tokens(ids[0])
        _LOGGER.warning("the target %r is not in the vocabulary; its first piece, %r, counts for it", word, piece)
        return int(ids[0])

    def _token_budget(self, tokens: int) -> int:
        return max(1, min(tokens, MAX_LOGITS // int(self.config.vocab_size)))

    def _encode(self, examples: Sequence[Any], options: FillMaskOptions) -> list[Encoded]:
        texts = [require_text(example, "an example") for example in examples]
        lists = token_lists(self.tokenizer(texts, **options.tokenizer))
        for text, tokens in zip(texts, lists, strict=True):
            if self.tokenizer.mask_token_id not in tokens:
                raise InputError(f"{text!r:.80} has no {self.tokenizer.mask_token}; put it in the place to be filled")
        return [Encoded([tokens]) for tokens in lists]

    def _read(self, tokens: Sequence[int], outputs: Outputs) -> Floats:
        """Return the logits of the masks, (masks, vocab)."""
        is_mask = np.asarray(tokens) == self.tokenizer.mask_token_id  # (size,)
        return np.asarray(outputs["logits"][is_mask])

    def _decode(self, encoded: Encoded, outputs: Sequence[Any], options: FillMaskOptions) -> Any:
        ids = np.asarray(encoded.token_lists[0])
        masks = np.flatnonzero(ids == self.tokenizer.mask_token_id)
        filled = [
            self._fill(ids, position, probabilities, len(masks) == 1, options)
            for position, probabilities in zip(masks.tolist(), softmax(outputs[0]), strict=True)
        ]
        return filled[0] if len(filled) == 1 else filled

    def _fill(
        self, ids: NDArray[Any], position: int, probabilities: Floats, is_alone: bool, options: FillMaskOptions
    ) -> list[dict[str, Any]]:
        """Return the likeliest tokens in one place, each with its text; other masks stay in the text."""
        scores = probabilities if options.targets is None else probabilities[options.targets]
        results = []
        for index in top(scores, options.top_k):
            token = int(index if options.targets is None else options.targets[index])
            sequence = np.where(np.arange(len(ids)) == position, token, ids)
            text = self.tokenizer.decode(
                sequence[sequence != self.tokenizer.pad_token_id], skip_special_tokens=is_alone
            )
            score, word = float(scores[index]), self.tokenizer.decode([token])
            results.append({"score": score, "token": token, "token_str": word, "sequence": text})
        return results
