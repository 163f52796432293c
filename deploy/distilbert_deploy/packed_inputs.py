"""What an ONNX model takes for packed rows: where texts start, instead of numbers of segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["packed_inputs"]

Ints = NDArray[np.int64]


def packed_inputs(inputs: Mapping[str, Any], *, reads_first_token: bool) -> dict[str, Ints]:
    """Return the inputs of an exported model for rows that hold several texts.

    Args:
        inputs: `input_ids` and `segment_ids` (batch, seq), from 1 in each row and 0 at padding; `num_segments`, the
            most in a row, where it is known.
        reads_first_token: Whether the model gives one output for each text, not each token.
    """
    segment_ids = np.asarray(inputs["segment_ids"])  # (batch, seq)
    starts = _segment_starts(segment_ids)
    arrays = {
        "input_ids": np.asarray(inputs["input_ids"], np.int64),
        "attention_mask": (segment_ids != 0).astype(np.int64),
        "segment_starts": starts,
    }
    if reads_first_token:
        num_segments = inputs.get("num_segments")
        most = int(segment_ids.max(initial=0)) if num_segments is None else int(num_segments)
        arrays["first_tokens"] = _first_tokens(segment_ids, most)
    return arrays


def _segment_starts(segment_ids: NDArray[Any]) -> Ints:
    """(batch, seq) -> (batch, seq): where the run of equal numbers starts that a token is in."""
    indices = np.broadcast_to(np.arange(segment_ids.shape[1]), segment_ids.shape)  # (batch, seq)
    is_start = np.ones(segment_ids.shape, bool)
    is_start[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    return np.maximum.accumulate(np.where(is_start, indices, 0), axis=1).astype(np.int64)


def _first_tokens(segment_ids: NDArray[Any], num_segments: int) -> Ints:
    """(batch, seq) -> (batch, num_segments): where each segment starts; 0 where a row has no such segment."""
    firsts = np.zeros((len(segment_ids), num_segments), np.int64)
    rows, indices = np.nonzero(segment_ids)
    # the last of repeated indices stays: from the right to the left, the first token
    firsts[rows[::-1], segment_ids[rows[::-1], indices[::-1]] - 1] = indices[::-1]
    return firsts
