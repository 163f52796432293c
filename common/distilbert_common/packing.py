"""Packing: token lists of any lengths, several to a row, so that rows of one length are nearly full.

A segment is one list in its row. Tokens attend within their segment, and positions start anew in each, so that a
packed row gives what its lists give alone. Shapes depend on `length` and the number of rows only: compiled code stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distilbert_common.constants import IGNORE_INDEX
from distilbert_common.errors import InputError

__all__ = ["Ints", "Packed", "Placement", "pack", "place", "scatter"]

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Placement:
    """Where each list lies: arrays (lists,) in the order given.

    Attributes:
        row: Its row.
        start: The place in the row of its first token.
        size: How many tokens it has.
        segment: Its number in the row, from 1.
        rows: How many rows there are, empty ones included.
        length: How many places a row has.
    """

    row: Ints
    start: Ints
    size: Ints
    segment: Ints
    rows: int
    length: int

    @property
    def num_segments(self) -> int:
        """The most lists in one row."""
        return int(self.segment.max(initial=0))

    @property
    def fullness(self) -> float:
        """The share of the places that hold a token."""
        return float(self.size.sum()) / max(1, self.rows * self.length)

    def tokens(self) -> NDArray[np.intp]:
        """Return the place of each token in the rows laid end to end, (tokens,), list after list."""
        first = np.repeat(self.row.astype(np.intp) * self.length + self.start, self.size)  # (tokens,)
        return first + self.within()

    def within(self) -> NDArray[np.intp]:
        """Return the place of each token in its list, (tokens,), list after list."""
        ends = np.cumsum(self.size, dtype=np.intp)
        return np.arange(ends[-1] if ends.size else 0) - np.repeat(ends - self.size, self.size)


def place(sizes: ArrayLike, length: int, *, rows_multiple: int = 1) -> Placement:
    """Choose a row for each list: first-fit decreasing, the longest list first, into the first row with room.

    Args:
        sizes: (lists,) how many tokens each has.
        length: How many tokens a row holds.
        rows_multiple: The number of rows is rounded up to a multiple of this; the last rows are empty.

    Raises:
        InputError: A list is empty or longer than a row.
    """
    size = np.asarray(sizes, np.int32).reshape(-1)
    if size.size and not 0 < size.min() <= size.max() <= length:
        raise InputError(
            f"the lists hold {size.min()} to {size.max()} tokens; packing into rows of {length} takes 1 to {length}: "
            "leave out empty lists, truncate long ones or use longer rows"
        )
    row, start, segment = (np.zeros_like(size) for _ in range(3))
    room, lists = np.zeros(0, np.int32), np.zeros(0, np.int32)  # (rows,): places left, lists held
    for one_size in np.unique(size)[::-1]:
        members = np.flatnonzero(size == one_size)
        fresh = max(0, -(-(len(members) - int((room // one_size).sum())) // (length // one_size)))
        room = np.concatenate([room, np.full(fresh, length, np.int32)])
        lists = np.concatenate([lists, np.zeros(fresh, np.int32)])
        takes = room // one_size  # (rows,): how many lists of this size still fit
        takes = np.diff(np.minimum(np.cumsum(takes), len(members)), prepend=0)  # the first rows take what they can
        rows_of = np.repeat(np.arange(len(room), dtype=np.int32), takes)  # (members,)
        turn = np.arange(len(members)) - np.repeat(np.cumsum(takes) - takes, takes)  # (members,): 0, 1, … in each row
        row[members] = rows_of
        start[members] = length - room[rows_of] + turn * one_size
        segment[members] = lists[rows_of] + turn + 1
        room, lists = (room - takes * one_size).astype(np.int32), (lists + takes).astype(np.int32)
    rows = -(-len(room) // rows_multiple) * rows_multiple
    return Placement(row, start, size, segment, rows, length)


@dataclass(frozen=True)
class Packed:
    """Packed token lists, and the way back.

    Attributes:
        input_ids: (rows, length) int32, the pad token where there is no list.
        position_ids: (rows, length) int32, from 0 in each list; 0 where there is none.
        segment_ids: (rows, length) int32, from 1 in each row; 0 where there is no list.
        placement: Where each list lies.
    """

    input_ids: Ints
    position_ids: Ints
    segment_ids: Ints
    placement: Placement

    @property
    def inputs(self) -> dict[str, Any]:
        """The arguments for any of the models, by name: `model(**packed.inputs)`. PyTorch wants arrays as tensors."""
        return {**self.arrays, "num_segments": self.num_segments}

    @property
    def arrays(self) -> dict[str, Ints]:
        """Those of the inputs that have one row for each row, as a data set is made of."""
        return {"input_ids": self.input_ids, "position_ids": self.position_ids, "segment_ids": self.segment_ids}

    @property
    def num_segments(self) -> int:
        """The most lists in one row, so that the models whose output is one per list need not count."""
        return self.placement.num_segments

    @property
    def fullness(self) -> float:
        """The share of the places that hold a token."""
        return self.placement.fullness

    def pack_tokens(self, values: Sequence[Sequence[Any]], fill: Any = IGNORE_INDEX) -> NDArray[Any]:
        """Lay out one value per token, such as labels: token lists -> (rows, length), `fill` where there is none.

        Raises:
            InputError: A list does not have as many values as tokens.
        """
        if [len(one) for one in values] != self.placement.size.tolist():
            raise InputError("values and packed lists differ in number or length; give one value per token")
        return scatter(self.placement, np.concatenate([np.asarray(one) for one in values]), fill)

    def pack_lists(self, values: ArrayLike, fill: Any = IGNORE_INDEX) -> NDArray[Any]:
        """Lay out one value per list, such as labels: (lists, …) -> (rows, num_segments, …), else `fill`.

        Raises:
            InputError: There are not as many values as lists.
        """
        array, placement = np.asarray(values), self.placement
        if len(array) != len(placement.size):
            raise InputError(
                f"{len(array)} values were given for {len(placement.size)} packed lists; give one for each"
            )
        out = np.full((placement.rows, placement.num_segments, *array.shape[1:]), fill, array.dtype)
        out[placement.row, placement.segment - 1] = array
        return out

    def unpack_tokens(self, values: ArrayLike) -> list[NDArray[Any]]:
        """Bring back one value per token: (rows, length, …) -> for each list, in the order given, (size, …)."""
        array, placement = np.asarray(values), self.placement
        return [array[r, s : s + n] for r, s, n in zip(placement.row, placement.start, placement.size, strict=True)]

    def unpack_lists(self, values: ArrayLike) -> NDArray[Any]:
        """Bring back one value per list: (rows, num_segments, …) -> (lists, …) in the order given."""
        return np.asarray(values)[self.placement.row, self.placement.segment - 1]


def scatter(placement: Placement, values: NDArray[Any], fill: Any) -> NDArray[Any]:
    """Lay out one value per token: (tokens,) -> (rows, length), `fill` where there is none."""
    out = np.full(placement.rows * placement.length, fill, values.dtype)
    out[placement.tokens()] = values
    return out.reshape(placement.rows, placement.length)


def pack(token_lists: Sequence[Sequence[int]], length: int, *, pad_token_id: int = 0, rows_multiple: int = 1) -> Packed:
    """Pack token lists into rows of one length.

    Args:
        token_lists: The ids of each text, unpadded, as `tokenizer(texts)["input_ids"]` gives them.
        length: How many tokens a row holds; at most the model's `max_position_embeddings`. Longer rows are fuller,
            shorter ones spend less on attention.
        pad_token_id: What stands where there is no list.
        rows_multiple: The number of rows is rounded up to a multiple of this, so that few shapes occur.

    Returns:
        What the models take (`inputs`), and the way back.

    Raises:
        InputError: A list is empty or longer than a row.
    """
    placement = place([len(tokens) for tokens in token_lists], length, rows_multiple=rows_multiple)
    ids = np.concatenate([np.asarray(tokens, np.int32) for tokens in token_lists] or [np.zeros(0, np.int32)])
    return Packed(
        scatter(placement, ids, pad_token_id),
        scatter(placement, placement.within().astype(np.int32), 0),
        scatter(placement, np.repeat(placement.segment, placement.size), 0),
        placement,
    )
