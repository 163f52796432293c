"""What a tokenizer returns: `BatchEncoding`, model inputs that can tell which text each token came from.

One row of it is an `Encoding`. One text before special tokens, truncation and padding is `Pieces`.
"""

from __future__ import annotations

import warnings
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.tensors import to_tensor

__all__ = ["BatchEncoding", "CharSpan", "Encoding", "Pieces", "TextPieces", "TokenSpan"]


class TextPieces(Protocol):
    """What a tokenizer makes of one text: `Pieces` in plain Python, an `Encoding` in the `tokenizers` library."""

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


@dataclass(frozen=True)
class Pieces:
    """What a text became, before special tokens, truncation and padding; three lists of one length."""

    ids: list[int]
    offsets: list[tuple[int, int]]
    word_ids: list[int]

    def __len__(self) -> int:
        return len(self.ids)


class TokenSpan(NamedTuple):
    """A run of tokens: the index of the first, and of the one after the last."""

    start: int
    end: int


class CharSpan(NamedTuple):
    """A run of characters: the index of the first, and of the one after the last."""

    start: int
    end: int


@dataclass(frozen=True)
class Encoding:
    """One row of a batch; every list has one item per token, special tokens and padding included.

    Args:
        ids: Token ids.
        tokens: The tokens of the vocabulary.
        offsets: Start and end in characters of the text, or of the word where the text was split into words;
            (0, 0) for special tokens and padding.
        word_ids: Number of the word in its sequence; None for special tokens and padding.
        sequence_ids: 0 or 1, the sequence the token is from; None for special tokens and padding.
        special_tokens_mask: 1 for special tokens that were put around the text, and for padding.
        attention_mask: 0 for padding, else 1.
        type_ids: 1 for the second sequence and the separator after it, else 0.
    """

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]
    word_ids: list[int | None]
    sequence_ids: list[int | None]
    special_tokens_mask: list[int]
    attention_mask: list[int]
    type_ids: list[int]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_sequences(self) -> int:
        """1 for a single text, 2 for a pair."""
        return 1 + (1 in self.sequence_ids or any(self.type_ids))

    @property
    def words(self) -> list[int | None]:
        """The same as `word_ids`; an old name."""
        return self.word_ids

    def token_to_sequence(self, token: int) -> int | None:
        """Return the sequence that a token is from, or None for special tokens, padding and what is beyond the end."""
        return self.sequence_ids[token] if token < len(self) else None

    def token_to_word(self, token: int) -> int | None:
        """Return the number of the word that a token is part of, or None."""
        return self.word_ids[token] if token < len(self) else None

    def token_to_chars(self, token: int) -> CharSpan | None:
        """Return the characters that a token stands for, or None for special tokens and padding."""
        return None if self.token_to_sequence(token) is None else CharSpan(*self.offsets[token])

    def word_to_tokens(self, word: int, sequence: int = 0) -> TokenSpan | None:
        """Return the tokens of a word, or None if there are none."""
        tokens = [index for index in self._tokens_of(sequence) if self.word_ids[index] == word]
        return TokenSpan(tokens[0], tokens[-1] + 1) if tokens else None

    def word_to_chars(self, word: int, sequence: int = 0) -> CharSpan | None:
        """Return the characters of a word, or None if it has no tokens here."""
        span = self.word_to_tokens(word, sequence)
        return None if span is None else CharSpan(self.offsets[span.start][0], self.offsets[span.end - 1][1])

    def char_to_token(self, char: int, sequence: int = 0) -> int | None:
        """Return the token that a character is part of, or None (white space, or cut off)."""
        for index in self._tokens_of(sequence):
            start, end = self.offsets[index]
            if start <= char < end:
                return index
        return None

    def char_to_word(self, char: int, sequence: int = 0) -> int | None:
        """Return the number of the word that a character is part of, or None."""
        token = self.char_to_token(char, sequence)
        return None if token is None else self.word_ids[token]

    def _tokens_of(self, sequence: int) -> Iterator[int]:
        return (index for index, owner in enumerate(self.sequence_ids) if owner == sequence)


class BatchEncoding(UserDict[str, Any]):
    """Model inputs by name, also as attributes, with lookups between tokens, words and characters.

    The interface is that of transformers' class of this name, for both tokenizers. The lookups are worked out when
    first asked for. A lookup takes (index) for a batch of one, or (batch index, index).

    Args:
        data: The model inputs.
        encoding: The rows with everything known about their tokens, or a function that gives them.
        tensor_type: "np", "pt", "tf" or "jax" to convert `data`; None to leave it.
        prepend_batch_axis: Put an axis of length 1 before each converted value.
        n_sequences: 1 for single texts, 2 for pairs, if known.
        is_fast: Whether a fast tokenizer made it; if not given, whether it can tell about its texts.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        encoding: Encoding | Sequence[Encoding] | Callable[[], Sequence[Encoding]] | None = None,
        tensor_type: Any = None,
        prepend_batch_axis: bool = False,
        n_sequences: int | None = None,
        is_fast: bool | None = None,
    ) -> None:
        super().__init__(data)
        self._encodings = (encoding,) if isinstance(encoding, Encoding) else encoding
        self.n_sequences = n_sequences
        self.is_fast = encoding is not None if is_fast is None else is_fast
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    def __getitem__(self, item: Any) -> Any:
        """Return a value by name, an `Encoding` by number, or by slice a dictionary of the values' slices."""
        if isinstance(item, (int, np.integer)):
            return self._row(int(item))
        if isinstance(item, slice):
            return {name: value[item] for name, value in self.data.items()}
        return self.data[item]

    def __getattr__(self, name: str) -> Any:
        data = self.__dict__.get("data", {})  # absent while a copy or a pickle is being put together
        if name not in data:
            raise AttributeError(f"{type(self).__name__} has no {name!r}; it holds {', '.join(map(str, data))}")
        return data[name]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_encodings": self.encodings}

    @property
    def encodings(self) -> Sequence[Encoding] | None:
        """The rows, or None where the data did not come from a text."""
        if callable(self._encodings):
            self._encodings = self._encodings()
        return self._encodings

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Return the tokens of a row."""
        return self._row(batch_index).tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return the number of each token's word; None for special tokens and padding."""
        return self._row(batch_index).word_ids

    def words(self, batch_index: int = 0) -> list[int | None]:
        """Return `word_ids`; deprecated."""
        warnings.warn("words() is deprecated; call word_ids()", FutureWarning, stacklevel=2)
        return self.word_ids(batch_index)

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return for each token 0 (first sequence), 1 (second), or None for special tokens and padding."""
        return self._row(batch_index).sequence_ids

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """Return the sequence that a token is from, or None."""
        row, token = self._find(batch_or_token_index, token_index)
        return row.token_to_sequence(token)

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """Return the number of a token's word, or None."""
        row, token = self._find(batch_or_token_index, token_index)
        return row.token_to_word(token)

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> CharSpan | None:
        """Return the characters that a token stands for, or None."""
        row, token = self._find(batch_or_token_index, token_index)
        return row.token_to_chars(token)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """Return the tokens of a word, or None."""
        row, word = self._find(batch_or_word_index, word_index)
        return row.word_to_tokens(word, sequence_index)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """Return the characters of a word, or None."""
        row, word = self._find(batch_or_word_index, word_index)
        return row.word_to_chars(word, sequence_index)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the token that a character is part of, or None."""
        row, char = self._find(batch_or_char_index, char_index)
        return row.char_to_token(char, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the number of the word that a character is part of, or None."""
        row, char = self._find(batch_or_char_index, char_index)
        return row.char_to_word(char, sequence_index)

    def convert_to_tensors(self, tensor_type: Any = None, prepend_batch_axis: bool = False) -> BatchEncoding:
        """Convert every value, in place.

        Args:
            tensor_type: "np", "pt", "tf" or "jax"; None leaves the values as they are.
            prepend_batch_axis: Put an axis of length 1 before each value.

        Returns:
            This object.

        Raises:
            TokenizerError: A value cannot become a tensor; rows of different lengths need padding.
            MissingFrameworkError: The framework is not installed.
        """
        if tensor_type is not None:
            for name, value in self.data.items():
                self.data[name] = to_tensor(name, [value] if prepend_batch_axis else value, tensor_type)
        return self

    def to(self, device: Any, *, non_blocking: bool = False) -> BatchEncoding:
        """Move every PyTorch tensor to a device, in place, and return this object.

        Anything else, such as a dtype, changes nothing and warns: token ids stay whole numbers.
        """
        if not isinstance(device, (str, int)) and type(device).__name__ != "device":
            warnings.warn(
                f"to() moves tensors to a device, such as 'cuda' or a torch.device; {device!r} changed nothing",
                stacklevel=2,
            )
            return self
        for name, value in self.data.items():
            if callable(getattr(value, "to", None)):
                self.data[name] = value.to(device=device, non_blocking=non_blocking)
        return self

    def _row(self, index: int) -> Encoding:
        rows = self.encodings
        if rows is None:
            raise TokenizerError(
                "this batch does not know its text; lookups need the object that calling a tokenizer returned, "
                "before pad()"
            )
        return rows[index]

    def _find(self, batch_or_index: int, index: int | None) -> tuple[Encoding, int]:
        return (self._row(0), batch_or_index) if index is None else (self._row(batch_or_index), index)
