"""From text to pieces in plain Python: the reference that the fast tokenizer is held against.

The order is that of BERT: added tokens are found first, the rest is normalized, split at white space and
punctuation, and each word is cut greedily into the longest pieces of the vocabulary (WordPiece, Wu et al. 2016,
section 4.1; Devlin et al. 2019, section 3).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from distilbert_common.tokenization.added_token import AddedToken
from distilbert_common.tokenization.normalizer import Normalizer, Span
from distilbert_common.tokenization.unicode import PUNCTUATION, WHITESPACE, CharRanges
from distilbert_common.tokenization.vocab import Vocabulary

_WORD = re.compile(f"[{PUNCTUATION.pattern}]|[^{PUNCTUATION.pattern}{WHITESPACE.pattern}]+")
_SPACED = re.compile(f"[^{WHITESPACE.pattern}]+")
_SPACES = "".join(WHITESPACE)
_LETTER_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc"})
_OTHER_LETTERS = CharRanges("200C-200D 24B6-24E9 1F130-1F149 1F150-1F169 1F170-1F189")
"""The joiners and the enclosed letters, which count as letters though their category does not say so."""


Piece = tuple[int, Span]
"""The id of a piece and where it lies in the text."""


@dataclass(frozen=True)
class Pieces:
    """What a text became, before special tokens, truncation and padding; three lists of one length."""

    ids: list[int]
    offsets: list[Span]
    word_ids: list[int]

    def __len__(self) -> int:
        return len(self.ids)


class AddedTokenFinder:
    """Finds added tokens in a text: the leftmost first, and of those that start together the longest.

    Args:
        patterns: What to look for, and which token it is.
    """

    def __init__(self, patterns: Mapping[str, AddedToken]) -> None:
        longest_first = sorted(patterns, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._tokens = patterns

    def split(self, text: str, pass_over_special: bool) -> Iterator[tuple[AddedToken | None, int, int]]:
        """Yield the parts of a text: added tokens, the special ones if wanted, and None for what lies between them."""
        done = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            token = self._tokens[match.group()]
            start, end = match.span()
            if token.special and pass_over_special:
                continue
            if token.single_word and (_is_letter(text[start - 1 : start]) or _is_letter(text[end : end + 1])):
                continue
            if token.lstrip:
                start = max(len(text[:start].rstrip(_SPACES)), done)
            if token.rstrip:
                end = len(text) - len(text[end:].lstrip(_SPACES))
            if done < start:
                yield None, done, start
            yield token, start, end
            done = end
        if done < len(text):
            yield None, done, len(text)


def _is_letter(char: str) -> bool:
    """Whether a character (or the empty string) is part of a word, as in regular expressions with Unicode."""
    return bool(char) and (unicodedata.category(char) in _LETTER_CATEGORIES or char in _OTHER_LETTERS)


class WordPiece:
    """The reference tokenizer: text to pieces with ids, offsets and word numbers.

    Args:
        vocabulary: Pieces and added tokens.
        normalizer: What happens to a text before it is split.
        unk_token: The piece that stands for a word that cannot be cut into pieces.
        prefix: What marks a piece that continues a word.
        max_word_chars: A longer word becomes `unk_token`.
        splits_punctuation: Whether words are split at punctuation, or at white space only.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        normalizer: Normalizer,
        unk_token: str,
        prefix: str,
        max_word_chars: int,
        splits_punctuation: bool = True,
    ) -> None:
        self._pieces = vocabulary.pieces
        self._vocabulary = vocabulary
        self._normalizer = normalizer
        self._unk_id = vocabulary.pieces[unk_token]
        self._prefix = prefix
        self._max_word_chars = max_word_chars
        self._word = _WORD if splits_punctuation else _SPACED
        self._longest = max(map(len, vocabulary.pieces))
        self.refresh()

    def refresh(self) -> None:
        """Take notice of tokens added to the vocabulary."""
        added, forms = self._vocabulary.added, self._vocabulary.forms
        in_raw_text = {form: added[name] for name, form in forms.items() if not added[name].normalized}
        hidden = self._vocabulary.shadowed
        normalized = {name: form for name, form in forms.items() if added[name].normalized and name not in hidden}
        in_normalized = {form: added[name] for name, form in normalized.items()}
        self._in_raw_text, self._in_normalized = AddedTokenFinder(in_raw_text), AddedTokenFinder(in_normalized)

    def encode(self, text: str, split_special_tokens: bool = False) -> Pieces:
        """Tokenize one text.

        Args:
            text: Any text without lone surrogates.
            split_special_tokens: Whether special tokens are cut like the rest of the text.

        Returns:
            The pieces; words are numbered from 0, and offsets count characters of `text`.
        """
        return _gather(
            (word, piece) for word, pieces in enumerate(self._words(text, split_special_tokens)) for piece in pieces
        )

    def encode_words(self, words: Sequence[str], split_special_tokens: bool = False) -> Pieces:
        """Tokenize a text that is split into words already.

        Args:
            words: The words; each may still be cut at white space and punctuation.
            split_special_tokens: Whether special tokens are cut like the rest of the text.

        Returns:
            The pieces; the word ids are the places in `words`, and offsets count characters of the word.
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
        return [index for index, _ in self._cut(word)]

    def _words(self, text: str, split_special_tokens: bool) -> Iterator[list[Piece]]:
        """Yield the pieces of each word, and of each added token, with their spans in the text."""
        for token, start, end in self._in_raw_text.split(text, split_special_tokens):
            if token is not None:
                yield [(self._vocabulary[token.content], (start, end))]
            else:
                for pieces in self._words_between(text[start:end], split_special_tokens):
                    yield [(index, (start + first, start + last)) for index, (first, last) in pieces]

    def _words_between(self, text: str, split_special_tokens: bool) -> Iterator[list[Piece]]:
        normalized, spans = self._normalizer(text)
        for token, start, end in self._in_normalized.split(normalized, split_special_tokens):
            if token is not None:
                yield [(self._vocabulary[token.content], _cover(spans, start, end))]
                continue
            for word in self._word.finditer(normalized, start, end):
                pieces = self._cut(word.group())
                yield [
                    (index, _cover(spans, word.start() + first, word.start() + last)) for index, (first, last) in pieces
                ]

    def _cut(self, word: str) -> list[Piece]:
        """Cut a word into its longest pieces from left to right, or give the unknown piece for all of it."""
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
