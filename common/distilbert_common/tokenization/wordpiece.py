"""From text to pieces in plain Python: the reference that the fast tokenizer is held against.

The order is that of BERT: added tokens are searched for, what lies between them is normalized, split at white space and
punctuation, and each word is cut greedily into the longest pieces of the vocabulary (WordPiece, Wu et al. 2016,
section 4.1; Devlin et al. 2019, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from distilbert_common.tokenization.encoding import Pieces
from distilbert_common.tokenization.normalizer import Span
from distilbert_common.tokenization.settings import TokenizerSettings
from distilbert_common.tokenization.splitting import SPACED_WORD, WORD, AddedTokenFinder

__all__ = ["WordPiece"]

Piece = tuple[int, Span]
"""The id of a piece and where it lies in the text."""


class WordPiece:
    """Cuts texts into pieces with ids, offsets and word numbers.

    Args:
        settings: The settings of the tokenizer: vocabulary, normalizer, unknown piece, prefix, longest word.
    """

    def __init__(self, settings: TokenizerSettings) -> None:
        self._vocabulary = settings.vocabulary
        self._pieces = settings.vocabulary.pieces
        self._normalizer = settings.normalizer
        self._unk_id = settings.vocabulary.pieces[settings.unk_piece]
        self._prefix = settings.prefix
        self._max_word_chars = settings.max_word_chars
        self._word = WORD if settings.splits_punctuation else SPACED_WORD
        self._longest = max(map(len, settings.vocabulary.pieces))
        self.refresh()

    def refresh(self) -> None:
        """Take notice of tokens added to the vocabulary."""
        added, forms = self._vocabulary.added, self._vocabulary.forms
        in_raw_text = {form: added[name] for name, form in forms.items() if not added[name].normalized}
        shadowed = self._vocabulary.shadowed
        normalized = {name: form for name, form in forms.items() if added[name].normalized and name not in shadowed}
        in_normalized = {form: added[name] for name, form in normalized.items()}
        self._in_raw_text, self._in_normalized = AddedTokenFinder(in_raw_text), AddedTokenFinder(in_normalized)

    def encode(self, text: str, split_special_tokens: bool = False) -> Pieces:
        """Cut one text.

        Args:
            text: Any text without lone surrogates.
            split_special_tokens: Whether special tokens are cut like any other text.

        Returns:
            The pieces; words are numbered from 0, and offsets count characters of `text`.
        """
        return _gather(
            (word, piece) for word, pieces in enumerate(self._words(text, split_special_tokens)) for piece in pieces
        )

    def encode_words(self, words: Sequence[str], split_special_tokens: bool = False) -> Pieces:
        """Cut a text that is split into words already.

        Args:
            words: The words; each may still be cut at white space and punctuation.
            split_special_tokens: Whether special tokens are cut like any other text.

        Returns:
            The pieces; the word ids are the indices in `words`, and offsets count characters of the word.
        """
        return _gather(
            (index, piece)
            for index, word in enumerate(words)
            for pieces in self._words(word, split_special_tokens)
            for piece in pieces
        )

    def words(self, text: str) -> list[str]:
        """Return the words of a text, normalized, as if no token had been added."""
        return self._word.findall(self._normalizer(text).text)

    def cut(self, word: str) -> list[int]:
        """Return the ids of a word's pieces."""
        return [index for index, _ in self._cut_word(word)]

    def _words(self, text: str, split_special_tokens: bool) -> Iterator[list[Piece]]:
        """Yield the pieces of each word, and of each added token, with their spans in the text."""
        for token, start, end in self._in_raw_text.split(text, split_special_tokens):
            if token is not None:
                yield [(self._vocabulary[token.content], (start, end))]
            else:
                for pieces in self._words_between(text[start:end], split_special_tokens):
                    yield [(index, (start + first, start + last)) for index, (first, last) in pieces]

    def _words_between(self, text: str, split_special_tokens: bool) -> Iterator[list[Piece]]:
        """Normalize a text without added tokens, and yield the pieces of each word."""
        normalized, spans = self._normalizer(text)
        for token, start, end in self._in_normalized.split(normalized, split_special_tokens):
            if token is not None:
                yield [(self._vocabulary[token.content], _cover(spans, start, end))]
                continue
            for word in self._word.finditer(normalized, start, end):
                pieces = self._cut_word(word.group())
                yield [
                    (index, _cover(spans, word.start() + first, word.start() + last)) for index, (first, last) in pieces
                ]

    def _cut_word(self, word: str) -> list[Piece]:
        """Cut a word into its longest pieces from left to right, or return the unknown piece for all of it."""
        unknown = [(self._unk_id, (0, len(word)))]
        if len(word) > self._max_word_chars:
            return unknown
        pieces = []
        start = 0
        while start < len(word):
            prefix = self._prefix if start else ""
            longest = min(len(word), start + self._longest)
            for end in range(longest, start, -1):
                index = self._pieces.get(prefix + word[start:end])
                if index is not None:
                    break
            else:
                return unknown
            pieces.append((index, (start, end)))
            start = end
        return pieces


def _cover(spans: Sequence[Span], start: int, end: int) -> Span:
    """Return the original span of the normalized characters from `start` to `end`."""
    return spans[start][0], spans[end - 1][1]


def _gather(pieces: Iterable[tuple[int, Piece]]) -> Pieces:
    rows = list(pieces)
    return Pieces([index for _, (index, _) in rows], [span for _, (_, span) in rows], [word for word, _ in rows])
