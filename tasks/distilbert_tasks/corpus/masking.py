"""Masking as DistilBERT's authors did it: rare tokens are predicted more often (Sanh et al., arXiv 1910.01108)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilbert_common.constants import IGNORE_INDEX
from distilbert_tasks.masking import masked_ids
from distilbert_tasks.randomness import uniform

__all__ = ["CountMasking"]

_KEYS, _FATES = 1, 2
"""What sets apart the random numbers of which tokens are predicted, and of what they become."""


@dataclass(frozen=True)
class CountMasking:
    """How tokens of a step are masked: 80 % of those predicted become the mask token, 10 % another token, 10 % stay.

    Attributes:
        probability: The share of all tokens, special ones included, that are predicted.
        mask_token_id: The id of the mask token.
        weights: (vocab,) what the probability of a token to be predicted is in proportion to; 0 for special tokens.
    """

    probability: float
    mask_token_id: int
    weights: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        counts: ArrayLike,
        mask_token_id: int,
        special_ids: Iterable[int],
        probability: float = 0.15,
        smoothing: float = 0.7,
    ) -> CountMasking:
        """Return the masking of a corpus.

        Args:
            counts: (vocab,) how often each token occurs in it.
            mask_token_id: The id of the mask token.
            special_ids: The ids that are never predicted.
            probability: The share of tokens that are predicted.
            smoothing: A token that occurs n times has the weight max(n, 1) to minus this.
        """
        weights = np.maximum(np.asarray(counts, np.float64), 1.0) ** -smoothing
        weights[list(special_ids)] = 0.0
        return cls(probability, mask_token_id, weights)

    def apply(
        self, ids: NDArray[np.integer], seed: tuple[int, ...], starts: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Mask tokens.

        Args:
            ids: (tokens,) those of a step, of all its micro batches and processes.
            seed: What random numbers depend on, such as the seed of the run and the step.
            starts: Where rows start, which makes no difference here.

        Returns:
            The ids with masks, and the labels: the ids to predict, -100 where nothing is predicted; both (tokens,).
        """
        inputs = ids.astype(np.int32)
        labels = np.full(len(ids), IGNORE_INDEX, np.int32)
        predicted = self._predicted(ids, seed)
        fate, other = uniform((*seed, _FATES), 2 * len(predicted)).reshape(2, -1)  # (predicted,) each
        targets = inputs[predicted]
        inputs[predicted] = masked_ids(targets, fate, other, self.mask_token_id, len(self.weights))
        labels[predicted] = targets
        return inputs, labels

    def _predicted(self, ids: NDArray[np.integer], seed: tuple[int, ...]) -> NDArray[np.intp]:
        """Draw tokens without replacement, and return where they are, in order.

        A token's key is an exponential random number over its weight; those with the smallest keys have the
        probabilities of drawing one after the other (Efraimidis and Spirakis, 2006).
        """
        weights = self.weights[ids]  # (tokens,)
        candidates = np.flatnonzero(weights)
        count = min(ceil(self.probability * len(ids)), len(candidates))
        keys = -np.log1p(-uniform((*seed, _KEYS), len(ids)))[candidates] / weights[candidates]
        smallest = np.argpartition(keys, count - 1)[:count] if 0 < count < len(keys) else np.arange(count)
        return np.sort(candidates[smallest])
