"""From pieces and rows to the columns of a batch: [CLS] and [SEP] around the texts, masks, offsets, padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from distilbert_common.tokenization.encoding import Encoding, TextPieces
from distilbert_common.tokenization.padding import PADDING_VALUES, Padding, pad_array, pad_lists
from distilbert_common.tokenization.truncation import Row

__all__ = ["Batch"]


class Column(NamedTuple):
    """What a column holds: for the tokens of both texts, and for [CLS] and the two [SEP].

    For tokens it names a field of `TextPieces`, or has one value for each text.
    """

    tokens: str | tuple[Any, Any]
    specials: tuple[Any, Any, Any]


_COLUMNS = {
    "attention_mask": Column((1, 1), (1, 1, 1)),
    "token_type_ids": Column((0, 1), (0, 0, 1)),
    "special_tokens_mask": Column((0, 0), (1, 1, 1)),
    "offset_mapping": Column("offsets", ((0, 0), (0, 0), (0, 0))),
    "word_ids": Column("word_ids", (None, None, None)),
    "sequence_ids": Column((0, 1), (None, None, None)),
}
"""Every column but `input_ids`, whose special tokens are the tokenizer's."""

_OF_ENCODINGS = (
    "offset_mapping", "word_ids", "sequence_ids", "special_tokens_mask", "attention_mask", "token_type_ids",
)  # fmt: skip
"""The columns of an `Encoding` after ids and tokens, in its order."""


@dataclass(frozen=True)
class Batch:
    """Tokenized texts on the way to a `BatchEncoding`.

    Args:
        first: The pieces of each sample's first text.
        second: The pieces of its second text, None for a sample without one; None where no sample is a pair.
        rows: Which pieces stand in which row.
        cls_sep_pad: The ids of [CLS], [SEP] and [PAD].
        specials: How many special tokens a row gets, with one text and with a pair; 0 for none.
        padding: How the rows are brought to one length.
    """

    first: Sequence[TextPieces]
    second: Sequence[TextPieces | None] | None
    rows: list[Row]
    cls_sep_pad: tuple[int, int, int]
    specials: tuple[int, int]
    padding: Padding
    width: int | None = field(init=False)
    """The length that rows are padded to; None for no padding."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", self.padding.width(self._lengths()))

    @property
    def n_sequences(self) -> int:
        """1 for single texts, 2 for pairs."""
        return 1 if self.second is None else 2

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each row, special tokens and padding included."""
        return [max(length, self.width or 0) for length in self._lengths()]

    def lists(self, name: str) -> list[list[Any]]:
        """Return a column as one list per row, padded."""
        return pad_lists(self._joined(name), self.width, self._padding_value(name), self.padding.side)

    def array(self, name: str) -> np.ndarray:
        """Return a column as an int64 array, (rows, seq), or (rows, seq, 2) for offsets.

        Raises:
            TokenizerError: The padded rows have different lengths.
        """
        fill = self._padding_value(name)
        if isinstance(fill, int):
            return pad_array(name, self._joined(name), self.width, fill, self.padding.side)
        flat = [list(chain.from_iterable(row)) for row in self._joined(name)]
        width = None if self.width is None else self.width * len(fill)
        array = pad_array(name, flat, width, fill[0], self.padding.side)
        return array.reshape(len(flat), -1, len(fill)) if array.size else array.reshape(len(flat), 0, len(fill))

    def encodings(self, token: Callable[[int], str]) -> list[Encoding]:
        """Return everything about every row.

        Args:
            token: Returns the token of an id.
        """
        ids = self.lists("input_ids")
        tokens = [[token(index) for index in row] for row in ids]
        return [Encoding(*row) for row in zip(ids, tokens, *map(self.lists, _OF_ENCODINGS), strict=True)]

    def _lengths(self) -> list[int]:
        """Return the number of tokens of each row, special tokens included."""
        return [row.length + self.specials[row.second is not None] for row in self.rows]

    def _padding_value(self, name: str) -> Any:
        return self.cls_sep_pad[2] if name == "input_ids" else PADDING_VALUES[name]

    def _joined(self, name: str) -> list[list[Any]]:
        """Return a column without padding: [CLS] first [SEP], in a pair second [SEP]."""
        cls_id, sep_id, _ = self.cls_sep_pad
        column = Column("ids", (cls_id, sep_id, sep_id)) if name == "input_ids" else _COLUMNS[name]
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
