"""From texts to the token lists of a corpus: tokenized, split where they are long, left out where they say nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_tasks.corpus.options import CorpusOptions

__all__ = ["Sequences", "make_sequences", "token_lists"]

PART_CHARS = 2**16
"""Longer texts are tokenized in parts, each ending at a space, on all cores and in little memory."""


@dataclass(frozen=True)
class Sequences:
    """Token lists with their special tokens.

    Attributes:
        ids: (tokens,) list after list.
        sizes: (sequences,) how many tokens each has.
        short: How many were left out because they have too few tokens.
        unknown: How many because of their [UNK].
    """

    ids: NDArray[np.int32]
    sizes: NDArray[np.int32]
    short: int
    unknown: int


def make_sequences(texts: Sequence[str], tokenizer: Any, options: CorpusOptions) -> Sequences:
    """Tokenize texts, split those above `max_length`, and leave out what is short or unknown.

    Args:
        texts: The texts.
        tokenizer: One of ours.
        options: The lengths and the share.
    """
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    lists = token_lists(texts, tokenizer)
    sizes = np.fromiter(map(len, lists), np.int64, len(lists)) + 2
    ids = np.fromiter(chain.from_iterable(chain((cls,), one, (sep,)) for one in lists), np.int32, int(sizes.sum()))
    ids, sizes = _split(ids, sizes, options.max_length, cls, sep)
    is_long = sizes >= options.min_length
    unknown = _sums(ids == tokenizer.unk_token_id, sizes)
    is_known = unknown / sizes < options.max_unknown
    keep = is_long & is_known
    return Sequences(
        ids[np.repeat(keep, sizes)],
        sizes[keep].astype(np.int32),
        int((~is_long).sum()),
        int((is_long & ~is_known).sum()),
    )


def token_lists(texts: Sequence[str], tokenizer: Any) -> list[list[int]]:
    """Return the ids of each text, without special tokens around it."""
    has_spaces = any(" " in token for token in tokenizer.get_added_vocab())  # one may go over the end of a part
    parts = [[text] if has_spaces else list(_parts(text)) for text in texts]
    options = {"add_special_tokens": False, "return_attention_mask": False, "verbose": False}
    flat = iter(tokenizer([part for some in parts for part in some], **options)["input_ids"] if parts else ())
    return [list(chain.from_iterable(next(flat) for _ in some)) if len(some) > 1 else next(flat) for some in parts]


def _parts(text: str) -> Iterator[str]:
    """Yield a text in parts that end at a space, where words end in every way to tokenize."""
    start = 0
    while len(text) - start > PART_CHARS:
        end = text.rfind(" ", start + 1, start + PART_CHARS)
        end = text.find(" ", start + PART_CHARS) if end < 0 else end
        if end < 0:
            break
        yield text[start:end]
        start = end
    yield text[start:]


def _split(
    ids: NDArray[np.int32], sizes: NDArray[np.int64], length: int, cls: int, sep: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Cut lists above a length into pieces of that length less 2, and put [CLS] and [SEP] back around each.

    As in the paper's code, the first piece has the [CLS] of its text among these, and the last one the [SEP].
    """
    if not (sizes > length).any():
        return ids, sizes
    pieces = np.where(sizes > length, -(-sizes // (length - 2)), 1)  # (lists,) into how many each is cut
    starts = np.repeat(np.cumsum(sizes) - sizes, pieces)
    turn = np.arange(len(starts)) - np.repeat(np.cumsum(pieces) - pieces, pieces)  # (pieces,) 0, 1, … in each list
    starts = starts + turn * (length - 2)
    ends = np.append(starts[1:], len(ids))
    has_cls, has_sep = ids[starts] == cls, ids[ends - 1] == sep
    lengths = ends - starts
    new_sizes = lengths + ~has_cls + ~has_sep
    first = np.cumsum(new_sizes) - new_sizes  # (pieces,) where each begins
    out = np.full(int(new_sizes.sum()), sep, np.int32)
    out[first] = cls
    within = np.arange(len(ids)) - np.repeat(starts, lengths)
    out[np.repeat(first + ~has_cls, lengths) + within] = ids
    return out, new_sizes


def _sums(values: NDArray[np.bool_], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many values of each list are true, (lists,)."""
    totals = np.concatenate([np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)])
    ends = np.cumsum(sizes)
    sums: NDArray[np.int64] = totals[ends] - totals[ends - sizes]
    return sums
