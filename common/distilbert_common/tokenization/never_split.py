"""Words that are one token each: `never_split` of transformers' BERT tokenizers, for both of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from distilbert_common.tokenization.columns import TextPieces
from distilbert_common.tokenization.inputs import Text
from distilbert_common.tokenization.settings import TokenizerSettings
from distilbert_common.tokenization.wordpiece import Pieces

_WORD = re.compile(r"\S+")

Cut = Callable[[Sequence[Any]], Sequence[TextPieces]]
"""Cuts several texts into pieces."""


class _Segment(NamedTuple):
    """A part of a text: where it starts, and its content; `is_word` for one that is not to be cut."""

    start: int
    content: Any
    is_word: bool


def cut_around_words(
    settings: TokenizerSettings, texts: Sequence[Text], is_split_into_words: bool, cut: Cut
) -> Sequence[TextPieces]:
    """Cut texts into pieces, but for the words that are one token: a piece of that name, or the unknown one.

    Args:
        settings: The settings of the tokenizer; where text is lower-cased, its words are before they are looked up.
        texts: The texts, each a string, or a list of words.
        is_split_into_words: Whether they are lists of words.
        cut: Cuts what lies between the words.
    """
    if not settings.never_split:
        return cut(texts)
    divide = _divide_words if is_split_into_words else _divide
    divided = [divide(text, settings) for text in texts]
    between = iter(cut([part.content for parts in divided for part in parts if not part.is_word]))
    return [_joined(parts, between, is_split_into_words, settings) for parts in divided]


def _divide(text: Any, settings: TokenizerSettings) -> list[_Segment]:
    parts, done = [], 0
    for match in _WORD.finditer(text):
        if _is_kept(match.group(), settings):
            parts += [_Segment(done, text[done : match.start()], False), _Segment(match.start(), match.group(), True)]
            done = match.end()
    return [*parts, _Segment(done, text[done:], False)]


def _divide_words(words: Any, settings: TokenizerSettings) -> list[_Segment]:
    parts, done = [], 0
    for index, word in enumerate(words):
        if _is_kept(word, settings):
            parts += [_Segment(done, words[done:index], False), _Segment(index, word, True)]
            done = index + 1
    return [*parts, _Segment(done, words[done:], False)]


def _is_kept(word: str, settings: TokenizerSettings) -> bool:
    return (word.lower() if settings.normalizer.lowercase else word) in settings.never_split


def _joined(parts: Sequence[_Segment], between: Any, is_split_into_words: bool, settings: TokenizerSettings) -> Pieces:
    joined = Pieces([], [], [])
    pieces, n_words = settings.vocabulary.pieces, 0
    for start, content, is_word in parts:
        if is_word:
            name = content.lower() if settings.normalizer.lowercase else content
            index = pieces.get(name, pieces[settings.unk_piece])
            part: Any = Pieces([index], [(0, len(content))], [0])
        else:
            part = next(between)
        shift = 0 if is_split_into_words else start
        joined.ids.extend(part.ids)
        joined.offsets.extend((first + shift, last + shift) for first, last in part.offsets)
        joined.word_ids.extend(word + (start if is_split_into_words else n_words) for word in part.word_ids)
        n_words += 1 + max(part.word_ids, default=-1)
    return joined
