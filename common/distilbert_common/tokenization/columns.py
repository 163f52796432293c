"""From pieces and rows to the columns of a batch: ids, masks, offsets, with special tokens and padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.encoding import Encoding
from distilbert_common.tokenization.rows import Row


class TextPieces(Protocol):
    """What a tokenizer makes of one text: `Pieces` of the reference, `Encoding` of the `tokenizers` library."""

    def __len__(self) -> int:
        """Return the number of tokens."""

    @property
    def ids(self) -> list[int]:
        """Token ids."""

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """Start and end of each token in the text."""

    @property
    def word_ids(self) -> list[Any]:
        """Number of each token's word."""


class Column(NamedTuple):
    """What a column holds: for the tokens of both texts, for [CLS] and the two [SEP], and for padding.

    For tokens it names a field of `TextPieces`, or gives one value for each text.
    """

    tokens: str | tuple[Any, Any]
    specials: tuple[Any, Any, Any]
    padding: Any


FIXED_COLUMNS = {
    "attention_mask": Column((1, 1), (1, 1, 1), 0),
    "token_type_ids": Column((0, 1), (0, 0, 1), 0),
    "special_tokens_mask": Column((0, 0), (1, 1, 1), 1),
    "offset_mapping": Column("offsets", ((0, 0), (0, 0), (0, 0)), (0, 0)),
    "word_ids": Column("word_ids", (None, None, None), None),
    "sequence_ids": Column((0, 1), (None, None, None), None),
}
"""Every column but `input_ids`, whose special tokens and padding are the tokenizer's."""


@dataclass(frozen=True)
class Batch:
    """Tokenized texts on the way to a `BatchEncoding`.

    Args:
        first: The pieces of each sample's first text.
        second: The pieces of its second text, None for a sample without one; None where no sample is a pair.
        rows: Which pieces stand in which row.
        cls_sep_pad: The ids of [CLS], [SEP] and [PAD].
        specials: How many special tokens a row gets, with one text and with a pair; 0 for none.
        width: The length that rows are padded to; None for no padding.
        padding_side: "right" or "left".
    """

    first: Sequence[TextPieces]
    second: Sequence[TextPieces | None] | None
    rows: list[Row]
    cls_sep_pad: tuple[int, int, int]
    specials: tuple[int, int]
    width: int | None
    padding_side: str

    @property
    def n_sequences(self) -> int:
        """1 for single texts, 2 for pairs."""
        return 1 if self.second is None else 2

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each row, special tokens and padding included."""
        return [max(row.length + self.specials[row.second is not None], self.width or 0) for row in self.rows]

    def lists(self, name: str) -> list[list[Any]]:
        """Return a column as one list per row, padded."""
        return pad_lists(self._joined(name), self.width, self._column(name).padding, self.padding_side)

    def array(self, name: str) -> np.ndarray:
        """Return a column as an int64 array, (rows, seq), or (rows, seq, 2) for offsets.

        Raises:
            TokenizerError: The padded rows have different lengths.
        """
        fill = self._column(name).padding
        if isinstance(fill, int):
            return pad_array(name, self._joined(name), self.width, fill, self.padding_side)
        flat = [list(chain.from_iterable(row)) for row in self._joined(name)]
        width = None if self.width is None else self.width * len(fill)
        array = pad_array(name, flat, width, fill[0], self.padding_side)
        return array.reshape(len(flat), -1, len(fill)) if array.size else array.reshape(len(flat), 0, len(fill))

    def encodings(self, token: Callable[[int], str]) -> list[Encoding]:
        """Return everything about every row.

        Args:
            token: Gives the token of an id.
        """
        names = (
            "offset_mapping",
            "word_ids",
            "sequence_ids",
            "special_tokens_mask",
            "attention_mask",
            "token_type_ids",
        )
        ids = self.lists("input_ids")
        tokens = [[token(index) for index in row] for row in ids]
        return [Encoding(*row) for row in zip(ids, tokens, *map(self.lists, names), strict=True)]

    def _column(self, name: str) -> Column:
        cls, sep, pad = self.cls_sep_pad
        return Column("ids", (cls, sep, sep), pad) if name == "input_ids" else FIXED_COLUMNS[name]

    def _joined(self, name: str) -> list[list[Any]]:
        """Return a column without padding: [CLS] first [SEP], in a pair second [SEP]."""
        column = self._column(name)
        cls, sep, sep_2 = ([value] if any(self.specials) else [] for value in column.specials)
        firsts = _token_values(column, 0, self.first)
        if self.second is None:
            return [[*cls, *firsts[sample][first], *sep] for sample, first, _ in self.rows]
        seconds = _token_values(column, 1, self.second)
        return [
            [*cls, *firsts[sample][first], *sep]
            if second is None
            else [*cls, *firsts[sample][first], *sep, *seconds[sample][second], *sep_2]
            for sample, first, second in self.rows
        ]


def _token_values(column: Column, text: int, pieces: Sequence[TextPieces | None]) -> list[list[Any]]:
    if isinstance(column.tokens, str):
        return [[] if piece is None else getattr(piece, column.tokens) for piece in pieces]
    return [[] if piece is None else [column.tokens[text]] * len(piece) for piece in pieces]


def pad_lists(rows: Sequence[list[Any]], width: int | None, fill: Any, side: str) -> list[list[Any]]:
    """Return rows brought to a width; longer ones, and all where the width is None, stay as they are."""
    if width is None:
        return list(rows)
    if side == "left":
        return [[fill] * (width - len(row)) + row for row in rows]
    return [row + [fill] * (width - len(row)) for row in rows]


def pad_array(name: str, rows: Sequence[Sequence[int]], width: int | None, fill: int, side: str) -> np.ndarray:
    """Return rows of whole numbers as one int64 array, (rows, width).

    Raises:
        TokenizerError: The padded rows have different lengths.
    """
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    widths = np.maximum(lengths, width or 0)
    longest = int(widths.max(initial=0))
    if (widths != longest).any():
        raise TokenizerError(
            f"{name!r} has rows of {int(widths.min())} to {longest} tokens, which no tensor can hold; pass "
            "padding=True (and truncation=True), or leave return_tensors out"
        )
    array = np.full((len(rows), longest), fill, np.int64)
    places = np.arange(longest)  # (width,)
    filled = places < lengths[:, None] if side == "right" else places >= longest - lengths[:, None]  # (rows, width)
    array[filled] = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
    return array
