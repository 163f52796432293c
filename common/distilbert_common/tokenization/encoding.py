"""What is known about tokens: of one text, before special tokens (`Pieces`), and of one finished row (`Encoding`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

__all__ = ["CharSpan", "Encoding", "Pieces", "TextPieces", "TokenSpan"]


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
