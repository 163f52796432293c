"""Labels of words from the logits of their pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["decode_tags"]


def decode_tags(
    logits: Sequence[ArrayLike],
    words: Sequence[ArrayLike],
    example: ArrayLike,
    lengths: Sequence[int],
    outside: int = 0,
) -> list[NDArray[np.int64]]:
    """Return the label of each word: the likeliest one of its first piece.

    Args:
        logits: For each row, (seq, labels).
        words: For each row, (seq,) the word that each token is a piece of; -1 for a token that does not count.
        example: (rows,) the example that each row is made of; the first row that has a word decides.
        lengths: (examples,) how many words each example has.
        outside: The label of words without pieces.

    Returns:
        For each example, (words,) class ids.
    """
    starts = np.cumsum([0, *lengths])
    tags = np.full(starts[-1], outside, np.int64)  # (all words,)
    if len(logits):
        labels = np.concatenate([np.asarray(row).argmax(axis=-1) for row in logits])  # (tokens,)
        numbers = np.concatenate([np.asarray(row, np.int64) for row in words])  # (tokens,)
        owner = np.repeat(np.asarray(example, np.int64), [len(np.asarray(row)) for row in words])  # (tokens,)
        is_piece = numbers >= 0
        indices = (starts[owner] + numbers)[is_piece]
        tags[indices[::-1]] = labels[is_piece][::-1]  # of several pieces the first one, which is written last, stays
    return np.split(tags, starts[1:-1])
