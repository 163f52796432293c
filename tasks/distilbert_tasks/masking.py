"""Dynamic masking of masked LM: which tokens are predicted, as a function of the seed and the step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.constants import IGNORE_INDEX
from distilbert_tasks.randomness import uniform

__all__ = ["Masking", "masked_ids"]


@dataclass(frozen=True)
class Masking:
    """How tokens are masked, as in BERT: 80 % become the mask token, 10 % another token, 10 % stay.

    Attributes:
        probability: The share of tokens that are predicted.
        mask_token_id: The id of the mask token.
        vocab_size: Other tokens are drawn from ids below this.
        special_ids: The ids that are never predicted.
        continuation_ids: The ids of pieces that go on a word, where words are predicted with all their pieces.
    """

    probability: float
    mask_token_id: int
    vocab_size: int
    special_ids: tuple[int, ...]
    continuation_ids: tuple[int, ...] = ()

    @classmethod
    def of(cls, tokenizer: Any, probability: float, whole_words: bool = False) -> Masking:
        """Return the masking for a tokenizer."""
        special = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
        pieces = sorted(number for token, number in tokenizer.get_vocab().items() if token.startswith("##"))
        return cls(probability, tokenizer.mask_token_id, len(tokenizer), special, tuple(pieces) if whole_words else ())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Masking:
        """Return the masking that `dataclasses.asdict` made these values of, also by way of JSON."""
        ids = {name: tuple(values[name]) for name in ("special_ids", "continuation_ids")}
        return cls(values["probability"], values["mask_token_id"], values["vocab_size"], **ids)

    def apply(
        self, ids: NDArray[Any], seed: tuple[int, ...], starts: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Mask tokens, one at least where there are some.

        Args:
            ids: (tokens,).
            seed: What random numbers depend on, such as the seed of the run and the step.
            starts: (rows,) where rows start, so that no word goes on from row to row; None for one row.

        Returns:
            The ids with masks, and the labels: the ids to predict, -100 where nothing is predicted; both (tokens,).
        """
        chosen, fate, other = uniform(seed, 3 * len(ids)).reshape(3, -1)  # (tokens,) each
        if self.continuation_ids:
            is_start = ~np.isin(ids, self.continuation_ids)
            is_start[np.zeros(1, np.int64) if starts is None else starts] = True
            chosen = chosen[is_start][np.cumsum(is_start) - 1]  # all pieces of a word are chosen by its first one
        is_predicted = self._predicted(chosen, ~np.isin(ids, self.special_ids))
        masked = masked_ids(ids, fate, other, self.mask_token_id, self.vocab_size)
        inputs = np.where(is_predicted, masked, ids).astype(np.int32)
        return inputs, np.where(is_predicted, ids, IGNORE_INDEX).astype(np.int32)

    def _predicted(self, chosen: NDArray[np.float64], may_be: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which tokens are predicted, (tokens,): one at least, so that a short text can be scored too."""
        is_predicted = (chosen < self.probability) & may_be
        return is_predicted if is_predicted.any() else may_be & (chosen == chosen.min(initial=1.0, where=may_be))


def masked_ids(
    ids: NDArray[Any], fate: NDArray[np.float64], other: NDArray[np.float64], mask_token_id: int, vocab_size: int
) -> NDArray[Any]:
    """Return what predicted tokens become: 80 % the mask token, 10 % any token, 10 % stay.

    Args:
        ids: (tokens,).
        fate: (tokens,) random numbers from 0 to below 1, which say what becomes of each.
        other: (tokens,) the same, which say which token it is if it is any.
        mask_token_id: The id of the mask token.
        vocab_size: Ids are drawn below this.
    """
    random_ids = (other * vocab_size).astype(np.int32)
    return np.where(fate < 0.8, mask_token_id, np.where(fate < 0.9, random_ids, ids))
