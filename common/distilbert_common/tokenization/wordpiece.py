"""From text to pieces in plain Python: the reference that the fast tokenizer is held against.

The order is that of BERT: added tokens are searched for, in the text as it is and in the normalized text
(`AddedTokenFinder`); what lies between them is split at white space and punctuation (`WORD`), and each word is cut
greedily into the longest pieces of the vocabulary (WordPiece, Wu et al. 2016, section 4.1; Devlin et al. 2019, section
3). Words of `never_split` are one token each in both tokenizers (`cut_around_words`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from distilbert_common.tokenization.encoding import Pieces, TextPieces
from distilbert_common.tokenization.normalizer import PUNCTUATION, WHITESPACE, CharRanges, Span
from distilbert_common.tokenization.settings import TokenizerSettings
from distilbert_common.tokenization.vocabulary import AddedToken

__all__ = ["AddedTokenFinder", "LongestPieces", "SPACED_WORD", "WORD", "WordPiece", "cut_around_words"]

WORD = re.compile(f"[{PUNCTUATION.pattern}]|[^{PUNCTUATION.pattern}{WHITESPACE.pattern}]+")
"""A word: one punctuation mark, or what lies between punctuation and white space."""

SPACED_WORD = re.compile(f"[^{WHITESPACE.pattern}]+")
"""A word where punctuation does not split (`do_basic_tokenize=False`)."""

_NEVER_SPLIT_WORD = re.compile(r"\S+")
_SPACES = "".join(WHITESPACE)
_LETTER_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc"})
_OTHER_LETTERS = CharRanges("200C-200D 24B6-24E9 1F130-1F149 1F150-1F169 1F170-1F189")
"""The joiners and the enclosed letters, which count as letters though their category does not say so."""

Cut = Callable[[Sequence[Any]], Sequence[TextPieces]]
"""Cuts several texts into pieces."""


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
        """Yield the parts of a text with start and end: added tokens, and None for what lies between them.

        Args:
            text: The text.
            pass_over_special: Whether special tokens are not looked for.
        """
        position = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            token = self._tokens[match.group()]
            start, end = match.span()
            if token.special and pass_over_special:
                continue
            if token.single_word and (_is_letter(text[start - 1 : start]) or _is_letter(text[end : end + 1])):
                continue
            if token.lstrip:
                start = max(len(text[:start].rstrip(_SPACES)), position)
            if token.rstrip:
                end = len(text) - len(text[end:].lstrip(_SPACES))
            if position < start:
                yield None, position, start
            yield token, start, end
            position = end
        if position < len(text):
            yield None, position, len(text)


def _is_letter(char: str) -> bool:
    """Whether a character (or the empty string) is part of a word, as in regular expressions with Unicode."""
    return bool(char) and (unicodedata.category(char) in _LETTER_CATEGORIES or char in _OTHER_LETTERS)


class _Segment(NamedTuple):
    """A part of a text: where it starts, and its content; `is_word` for a word that is never split."""

    start: int
    content: Any
    is_word: bool


def cut_around_words(
    settings: TokenizerSettings, texts: Sequence[Any], is_split_into_words: bool, cut: Cut
) -> Sequence[TextPieces]:
    """Cut texts into pieces, but for the words of `never_split`: each is the piece of that name, or the unknown one.

    Args:
        settings: The settings of the tokenizer; where text is lower-cased, its words are before they are looked up.
        texts: The texts, each a string, or a list of words.
        is_split_into_words: Whether they are lists of words.
        cut: Cuts what lies between the words.
    """
    if not settings.never_split:
        return cut(texts)
    segments_of = _segments_of_words if is_split_into_words else _segments_of_text
    segmented = [segments_of(text, settings) for text in texts]
    between = iter(cut([segment.content for segments in segmented for segment in segments if not segment.is_word]))
    return [_joined(segments, between, is_split_into_words, settings) for segments in segmented]


def _segments_of_text(text: Any, settings: TokenizerSettings) -> list[_Segment]:
    segments, position = [], 0
    for match in _NEVER_SPLIT_WORD.finditer(text):
        if _lowered(match.group(), settings) in settings.never_split:
            segments.append(_Segment(position, text[position : match.start()], False))
            segments.append(_Segment(match.start(), match.group(), True))
            position = match.end()
    return [*segments, _Segment(position, text[position:], False)]


def _segments_of_words(words: Any, settings: TokenizerSettings) -> list[_Segment]:
    segments, position = [], 0
    for index, word in enumerate(words):
        if _lowered(word, settings) in settings.never_split:
            segments += [_Segment(position, words[position:index], False), _Segment(index, word, True)]
            position = index + 1
    return [*segments, _Segment(position, words[position:], False)]


def _lowered(word: str, settings: TokenizerSettings) -> str:
    return word.lower() if settings.normalizer.lowercase else word


def _joined(
    segments: Sequence[_Segment], between: Iterator[TextPieces], is_split_into_words: bool, settings: TokenizerSettings
) -> Pieces:
    """Join the pieces of a text's segments, with offsets and word numbers of the text."""
    joined = Pieces([], [], [])
    pieces, n_words = settings.vocabulary.pieces, 0
    for start, content, is_word in segments:
        part: TextPieces
        if is_word:
            index = pieces.get(_lowered(content, settings), pieces[settings.unk_piece])
            part = Pieces([index], [(0, len(content))], [0])
        else:
            part = next(between)
        shift = 0 if is_split_into_words else start
        joined.ids.extend(part.ids)
        joined.offsets.extend((first + shift, last + shift) for first, last in part.offsets)
        joined.word_ids.extend(word + (start if is_split_into_words else n_words) for word in part.word_ids)
        n_words += 1 + max(part.word_ids, default=-1)
    return joined


Piece = tuple[int, Span]
"""The id of a piece and where it lies in the text."""


class LongestPieces:
    """Cuts words into their longest pieces from left to right.

    Args:
        vocab: Id by piece.
        prefix: What marks a piece that continues a word.
        max_word_chars: A longer word has no pieces.
    """

    def __init__(self, vocab: Mapping[str, int], prefix: str, max_word_chars: int) -> None:
        self._vocab = vocab
        self._prefix = prefix
        self._max_word_chars = max_word_chars
        self._longest = max(map(len, vocab), default=0)

    def __call__(self, word: str) -> list[tuple[str, Span]]:
        """Return the pieces of a word, each with its span in it; none where there are none that make it up."""
        if len(word) > self._max_word_chars:
            return []
        pieces: list[tuple[str, Span]] = []
        start = 0
        while start < len(word):
            prefix = self._prefix if start else ""
            longest = min(len(word), start + self._longest)
            for end in range(longest, start, -1):
                if (piece := prefix + word[start:end]) in self._vocab:
                    break
            else:
                return []
            pieces.append((piece, (start, end)))
            start = end
        return pieces


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
        self._longest_pieces = LongestPieces(self._pieces, settings.prefix, settings.max_word_chars)
        self._word = WORD if settings.splits_punctuation else SPACED_WORD
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
        pieces = self._longest_pieces(word)
        if not pieces:
            return [(self._unk_id, (0, len(word)))]
        return [(self._pieces[name], span) for name, span in pieces]


def _cover(spans: Sequence[Span], start: int, end: int) -> Span:
    """Return the original span of the normalized characters from `start` to `end`."""
    return spans[start][0], spans[end - 1][1]


def _gather(pieces: Iterable[tuple[int, Piece]]) -> Pieces:
    rows = list(pieces)
    return Pieces([index for _, (index, _) in rows], [span for _, (_, span) in rows], [word for word, _ in rows])
