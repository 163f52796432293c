"""Splitting a text before its words are cut into pieces: added tokens, words that are never split, words.

Added tokens are searched for first, in the text as it is and in the normalized text (`AddedTokenFinder`). What lies
between them is split at white space and punctuation (`WORD`). Words of `never_split` are one token each
(`cut_around_words`), in both tokenizers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from distilbert_common.tokenization.encoding import Pieces, TextPieces
from distilbert_common.tokenization.settings import TokenizerSettings
from distilbert_common.tokenization.unicode import PUNCTUATION, WHITESPACE, CharRanges
from distilbert_common.tokenization.vocabulary import AddedToken

__all__ = ["SPACED_WORD", "WORD", "AddedTokenFinder", "cut_around_words"]

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
