"""Token lists through a model: packed, in batches of a budget of tokens and, for compiled code, of few shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.training import Engine
from distilbert_tasks.batches import evaluation_batches
from distilbert_tasks.features import Features, Ragged

__all__ = ["Outputs", "Read", "Runner"]

Outputs = Mapping[str, NDArray[Any]]
"""The outputs of one token list by name: (size, …) where the model has one per token, else (…)."""

Read = Callable[[int, Outputs], Any]
"""Takes the number of a token list and its outputs, and returns what is worth keeping of them."""

ROW_LENGTH, SHORTEST_ROW = 128, 32
"""Packed rows of compiled models are at least so long: the first where there are so many tokens, as longer rows are
fuller; the second in any case, as shorter ones would be further shapes, and hardly faster."""


@dataclass(frozen=True)
class Runner:
    """Calls a model on token lists of any lengths.

    Attributes:
        engine: The model.
        task: The name of the task; multiple choice takes padded rows of one choice each.
        tokens_per_batch: About how many tokens one call computes.
        is_per_token: Whether the model gives outputs for each token, and not for each list.
        few_shapes: Whether sizes are powers of two, so that compiled code meets few of them.
    """

    engine: Engine
    task: str
    tokens_per_batch: int
    is_per_token: bool
    few_shapes: bool

    def run(self, token_lists: Sequence[Sequence[int]], read: Read) -> list[Any]:
        """Return what `read` makes of the outputs of each list, in order."""
        results: list[Any] = [None] * len(token_lists)
        if not token_lists:
            return results
        features = Features(Ragged.from_lists(token_lists), {}, np.arange(len(token_lists)), task=self.task)
        tokens, row_length = self._sizes(features.sizes)
        for batch in evaluation_batches(features, tokens, few_shapes=self.few_shapes, row_length=row_length):
            outputs = self.engine.eval_step(batch.inputs)
            unpack = batch.per_token if self.is_per_token else batch.per_row
            by_name = {name: unpack(values) for name, values in outputs.items()}
            for row, index in enumerate(batch.rows.tolist()):
                results[index] = read(index, {name: values[row] for name, values in by_name.items()})
        return results

    def _sizes(self, sizes: NDArray[np.int64]) -> tuple[int, int | None]:
        """Return how many tokens a batch of such lists has, and a row; None for rows as long as the longest list."""
        if not self.few_shapes:
            return self.tokens_per_batch, None
        total, longest = int(sizes.sum()), int(sizes.max())
        length = _power_of_two(max(longest, min(ROW_LENGTH, total), SHORTEST_ROW))
        return min(self.tokens_per_batch, max(length, _power_of_two(total))), length


def _power_of_two(number: int) -> int:
    """Round a number of at least 1 up to a power of two."""
    return 1 << (number - 1).bit_length()
