"""Cleaning, accent stripping and lower-casing that remember which original characters each result came from.

Reference: the `BertNormalizer` of the `tokenizers` library, itself after the BasicTokenizer of BERT.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from distilbert_common.tokenization.unicode import (
    CJK,
    NONSPACING_MARKS,
    REMOVED,
    WHITESPACE,
    combining_class,
    decompose,
)

__all__ = ["NormalizedText", "Normalizer", "Span"]

Span = tuple[int, int]
"""Start and end (exclusive) in characters."""

_Aligned = tuple[str, Span]
"""One character and the original characters that it stands for."""


class NormalizedText(NamedTuple):
    """A normalized text and, for each of its characters, the span of the original text it came from."""

    text: str
    spans: list[Span]


@dataclass(frozen=True)
class Normalizer:
    """What happens to a text before it is split into words.

    Args:
        clean_text: Drop control characters, turn all white space into plain spaces.
        handle_chinese_chars: Put spaces around ideographs.
        strip_accents: Drop accents; None means: if and only if `lowercase`.
        lowercase: Lower-case every character.
    """

    clean_text: bool = True
    handle_chinese_chars: bool = True
    strip_accents: bool | None = None
    lowercase: bool = True

    @property
    def strips(self) -> bool:
        """Whether accents are dropped."""
        return self.lowercase if self.strip_accents is None else self.strip_accents

    def __call__(self, text: str) -> NormalizedText:
        """Normalize a text.

        Args:
            text: Any text.

        Returns:
            The normalized text, aligned with `text`.
        """
        chars: Iterable[_Aligned] = ((char, (index, index + 1)) for index, char in enumerate(text))
        beyond_ascii = not text.isascii()  # ASCII holds neither ideographs nor accents
        if self.clean_text:
            chars = _clean(chars)
        if self.handle_chinese_chars and beyond_ascii:
            chars = _space_ideographs(chars)
        if self.strips and beyond_ascii:
            chars = _strip_accents(chars)
        if self.lowercase:
            chars = _lower(chars)
        aligned = list(chars)
        return NormalizedText("".join(char for char, _ in aligned), [span for _, span in aligned])


def _clean(chars: Iterable[_Aligned]) -> Iterator[_Aligned]:
    for char, span in chars:
        if char not in REMOVED:
            yield (" " if char in WHITESPACE else char), span


def _space_ideographs(chars: Iterable[_Aligned]) -> Iterator[_Aligned]:
    for char, span in chars:
        if char in CJK:
            yield from ((" ", span), (char, span), (" ", span))
        else:
            yield char, span


def _strip_accents(chars: Iterable[_Aligned]) -> Iterator[_Aligned]:
    return ((char, span) for char, span in _decompose(chars) if char not in NONSPACING_MARKS)


def _lower(chars: Iterable[_Aligned]) -> Iterator[_Aligned]:
    """Lower-case each character by itself: a final sigma is not told from any other."""
    return ((lowered, span) for char, span in chars for lowered in char.lower())


def _decompose(chars: Iterable[_Aligned]) -> Iterator[_Aligned]:
    """Bring the text into canonical decomposition (NFD).

    Where marks change places, the spans stay: they follow the position in the text, not the mark.
    """
    source = list(chars)
    parts = [(part, index == 0) for char, _ in source for index, part in enumerate(decompose(char))]
    spans = (span for _, span in source)
    span = (0, 0)
    for part, is_start_of_char in _in_canonical_order(parts):
        if is_start_of_char:
            span = next(spans)
        yield part, span


def _in_canonical_order(parts: Iterable[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    """Sort each run of combining marks by combining class; marks of one class keep their order."""
    for _, run in groupby(parts, key=lambda part: combining_class(part[0]) > 0):
        yield from sorted(run, key=lambda part: combining_class(part[0]))
