"""Token lists through a model: sorted by length and packed, in batches of a budget of tokens and of few shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.buckets import bucket
from distilbert_common.packing import Packed, pack
from distilbert_common.training import Engine

__all__ = ["Outputs", "Read", "Runner"]

Outputs = Mapping[str, NDArray[Any]]
"""The outputs of one token list by name: (size, …) where the model has one per token, else (…)."""

Read = Callable[[int, Outputs], Any]
"""Takes the number of a token list and its outputs, and returns what is worth keeping of them."""

ROW_LENGTH = 128
"""Packed rows are at least so long, where that many positions are: they are fuller than shorter ones."""


@dataclass(frozen=True)
class Runner:
    """Calls a model on token lists of any lengths.

    Attributes:
        engine: The model.
        max_length: How many positions it has.
        tokens_per_batch: About how many tokens one call computes.
        is_per_token: Whether the model gives outputs for each token, and not for each list.
        few_shapes: Whether sizes are rounded up, so that compiled code meets few of them.
        pad_token_id: What stands where there is no token.
    """

    engine: Engine
    max_length: int
    tokens_per_batch: int
    is_per_token: bool
    few_shapes: bool
    pad_token_id: int = 0

    def run(self, token_lists: Sequence[Sequence[int]], read: Read) -> list[Any]:
        """Return what `read` makes of the outputs of each list, in order."""
        results: list[Any] = [None] * len(token_lists)
        for indices in self._batches([len(tokens) for tokens in token_lists]):
            packed = self._packed([token_lists[index] for index in indices])
            outputs = self.engine.eval_step(self._inputs(packed))
            unpack = packed.unpack_tokens if self.is_per_token else packed.unpack_lists
            by_name = {name: unpack(values) for name, values in outputs.items()}
            for place, index in enumerate(indices):
                results[index] = read(index, {name: values[place] for name, values in by_name.items()})
        return results

    def run_choices(self, token_lists: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return the logit of each list, (lists,), from a multiple-choice model, which takes padded rows."""
        logits = np.zeros(len(token_lists), np.float32)
        for indices in self._batches([len(tokens) for tokens in token_lists]):
            outputs = self.engine.eval_step(self._padded([token_lists[index] for index in indices]))
            logits[indices] = outputs["logits"][: len(indices), 0]
        return logits

    def _batches(self, sizes: Sequence[int]) -> Iterator[list[int]]:
        """Yield the numbers of the lists of each batch, the longest lists first."""
        batch: list[int] = []
        tokens = 0
        for index in np.argsort([-size for size in sizes], kind="stable").tolist():
            if batch and tokens + sizes[index] > self.tokens_per_batch:
                yield batch
                batch, tokens = [], 0
            batch.append(index)
            tokens += sizes[index]
        if batch:
            yield batch

    def _packed(self, token_lists: Sequence[Sequence[int]]) -> Packed:
        """Pack lists into rows, as many of them as a bucket has."""
        longest = max(map(len, token_lists))
        tokens = sum(map(len, token_lists))
        length = max(longest, min(self._length(longest, min(ROW_LENGTH, tokens)), self.max_length))
        packed = pack(token_lists, length, pad_token_id=self.pad_token_id)
        rows = packed.placement.rows
        if self.few_shapes and rows != bucket(rows):
            packed = pack(token_lists, length, pad_token_id=self.pad_token_id, rows_multiple=bucket(rows))
        return packed

    def _inputs(self, packed: Packed) -> dict[str, Any]:
        segments = packed.num_segments
        return packed.inputs | {"num_segments": _power_of_two(segments) if self.few_shapes else segments}

    def _padded(self, token_lists: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Pad lists to (batch, 1, seq): one choice to a row."""
        length = min(self._length(max(map(len, token_lists))), self.max_length)
        count = bucket(len(token_lists)) if self.few_shapes else len(token_lists)
        input_ids = np.full((count, 1, length), self.pad_token_id, np.int32)
        attention_mask = np.zeros_like(input_ids)
        for row, tokens in enumerate(token_lists):
            input_ids[row, 0, : len(tokens)] = tokens
            attention_mask[row, 0, : len(tokens)] = 1
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def _length(self, longest: int, least: int = 1) -> int:
        """Round the length of rows up, where few shapes are to be met."""
        length = max(longest, least)
        return _power_of_two(length) if self.few_shapes else length


def _power_of_two(number: int) -> int:
    """Round a number of at least 1 up to a power of two."""
    return 1 << (number - 1).bit_length()
