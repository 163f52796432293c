"""From pieces and rows to the columns of a batch: [CLS] and [SEP] around the texts, masks, offsets, padding.

Padding brings rows to one length, as lists or as an array, at once or when they were tokenized before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.arguments import SIDES, choose, count_of
from distilbert_common.tokenization.encoding import Encoding, TextPieces
from distilbert_common.tokenization.tensors import as_lists, tensor_type_of, to_tensor
from distilbert_common.tokenization.truncation import Row, Truncation

__all__ = [
    "Batch",
    "Encoded",
    "PADDING_VALUES",
    "Padding",
    "as_columns",
    "check_agreement",
    "like_input",
    "pad_array",
    "pad_columns",
    "pad_lists",
    "read_padding",
]

PADDING_STRATEGIES = {
    True: "longest",
    "longest": "longest",
    "max_length": "max_length",
    False: None,
    None: None,
    "do_not_pad": None,
}
"""The values of `padding`."""

PADDING_VALUES: dict[str, Any] = {
    "attention_mask": 0,
    "token_type_ids": 0,
    "special_tokens_mask": 1,
    "offset_mapping": (0, 0),
    "word_ids": None,
    "sequence_ids": None,
}
"""What every column but `input_ids`, which gets the id of [PAD], holds for padding."""

Encoded = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""One tokenized text or a batch, as a dictionary of columns; or a list of dictionaries, one per text."""


@dataclass(frozen=True)
class Padding:
    """How rows are brought to one length.

    Args:
        strategy: "longest", "max_length", or None for no padding.
        max_length: The length for "max_length".
        multiple: The length is raised to a multiple of this.
        side: Where the padding goes.
    """

    strategy: str | None
    max_length: int
    multiple: int
    side: str

    def width(self, lengths: Sequence[int]) -> int | None:
        """Return the length to pad to, from the lengths of the rows; None for no padding."""
        if self.strategy is None:
            return None
        width = self.max_length if self.strategy == "max_length" else max(lengths, default=0)
        return -(-width // self.multiple) * self.multiple


def read_padding(
    padding: Any, max_length: int | None, pad_to_multiple_of: int | None, side: str, model_max_length: int
) -> Padding:
    """Read the arguments that concern padding.

    Raises:
        TokenizerError: A value is none of those allowed.
    """
    return Padding(
        choose("padding", padding, PADDING_STRATEGIES),
        count_of("max_length", max_length, model_max_length),
        count_of("pad_to_multiple_of", pad_to_multiple_of, 1),
        choose("padding_side", side, SIDES),
    )


def check_agreement(padding: Padding, truncation: Truncation) -> None:
    """Require that a row that was cut to `max_length` can be padded to the multiple that was asked for.

    Raises:
        TokenizerError: `max_length` is not a multiple of `pad_to_multiple_of`.
    """
    if padding.strategy and truncation.strategy and truncation.max_length % padding.multiple:
        raise TokenizerError(
            f"max_length is {truncation.max_length}, not a multiple of pad_to_multiple_of={padding.multiple}, so that "
            "truncated rows would be padded beyond max_length; change one of the two"
        )


def pad_lists(rows: Sequence[list[Any]], width: int | None, fill: Any, side: str) -> list[list[Any]]:
    """Return rows brought to a width; longer ones, and all where the width is None, stay as they are."""
    if width is None:
        return list(rows)
    if side == "left":
        return [[fill] * (width - len(row)) + row for row in rows]
    return [row + [fill] * (width - len(row)) for row in rows]


def pad_array(name: str, rows: Sequence[Sequence[int]], width: int | None, fill: int, side: str) -> np.ndarray:
    """Return rows of integers as one int64 array, (rows, width).

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
    columns = np.arange(longest)  # (width,)
    is_token = columns < lengths[:, None] if side == "right" else columns >= longest - lengths[:, None]  # (rows, width)
    array[is_token] = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
    return array


def as_columns(encoded: Encoded, ids_name: str) -> tuple[dict[str, Any], str, str | None]:
    """Bring tokenized texts into one dictionary.

    Args:
        encoded: The tokenized texts.
        ids_name: The name of the column of ids, where it is not `input_ids`.

    Returns:
        The columns, ids and what belongs to them as lists; the name of the column of ids; and the kind of tensor that
        they came as.

    Raises:
        TokenizerError: There are no ids, or the texts do not have the same columns.
    """
    if isinstance(encoded, Mapping):
        columns = dict(encoded)
    else:
        _check_rows(encoded)
        columns = {name: [row[name] for row in encoded] for name in encoded[0]}
    if ids_name not in columns:
        ids_name = "input_ids"
    if ids_name not in columns:
        raise TokenizerError(f"pad needs input_ids; got {', '.join(columns) or 'nothing'}")
    ids = columns[ids_name]
    tensor_type = tensor_type_of(ids) or (tensor_type_of(ids[0]) if len(ids) else None)
    lists = {name: as_lists(value) for name, value in columns.items() if name == ids_name or name in PADDING_VALUES}
    return {**columns, **lists}, ids_name, tensor_type


def _check_rows(rows: Any) -> None:
    if not isinstance(rows, (list, tuple)) or not all(isinstance(row, Mapping) for row in rows) or not rows:
        raise TokenizerError("pad takes what calling the tokenizer returned, or a list of such; got another thing")
    if any(row.keys() != rows[0].keys() for row in rows):
        raise TokenizerError("pad needs the same columns in every row")


def pad_columns(
    columns: Mapping[str, Any], padding: Padding, ids_fill: tuple[str, int], attention_mask: bool
) -> dict[str, Any]:
    """Pad ids and what belongs to them; all other columns stay as they are.

    Args:
        columns: From `as_columns`.
        padding: How to pad.
        ids_fill: The name of the column of ids, and the id of [PAD].
        attention_mask: Whether a mask is added if there is none.

    Returns:
        The padded columns; a single text stays a single text.
    """
    ids_name, pad_id = ids_fill
    fills = {ids_name: pad_id, **PADDING_VALUES}
    single = bool(columns[ids_name]) and isinstance(columns[ids_name][0], int)
    table = {name: [value] if single else value for name, value in columns.items() if name in fills}
    if attention_mask:
        table.setdefault("attention_mask", [[1] * len(row) for row in table[ids_name]])
    width = padding.width([len(row) for row in table[ids_name]])
    padded = {name: pad_lists(rows, width, fills[name], padding.side) for name, rows in table.items()}
    return {**columns, **{name: rows[0] if single else rows for name, rows in padded.items()}}


def like_input(name: str, value: Any, tensor_type: str | None) -> Any:
    """Return a column as the kind of tensor that came in; one that cannot be a tensor, such as ragged labels, stays."""
    try:
        return value if tensor_type is None else to_tensor(name, value, tensor_type)
    except TokenizerError:
        return value


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
