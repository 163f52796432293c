from __future__ import annotations

import re

import pytest

from distilbert_common.tokenization.normalizer import (
    CJK,
    NONSPACING_MARKS,
    PUNCTUATION,
    REMOVED,
    WHITESPACE,
    CharRanges,
    Normalizer,
    combining_class,
    decompose,
)

UNCASED, CASED = Normalizer(), Normalizer(lowercase=False)


def test_ranges() -> None:
    ranges = CharRanges("41-43 61 1F600-1F601")
    assert list(ranges) == ["A", "B", "C", "a", "😀", "😁"]
    assert [char in ranges for char in "@ACDab😀"] == [False, True, True, False, True, False, True]
    assert re.findall(f"[{ranges.pattern}]", "xAbaC😁") == ["A", "a", "C", "😁"]


@pytest.mark.parametrize(
    ("ranges", "size"),
    [(WHITESPACE, 25), (PUNCTUATION, 726), (NONSPACING_MARKS, 1567), (REMOVED, 137681), (CJK, 81264)],
)
def test_tables_have_the_size_of_the_classes_of_unicode_8(ranges: CharRanges, size: int) -> None:
    chars = list(ranges)
    assert len(chars) == size
    assert chars == sorted(set(chars))


def test_characters_newer_than_unicode_9_neither_decompose_nor_reorder() -> None:
    assert decompose("é") == "e\u0301"
    assert decompose("\U00011938") == "\U00011938"  # Unicode 13 gave it a decomposition
    assert (combining_class("\u0301"), combining_class("\u08d3")) == (230, 0)  # U+08D3 came with Unicode 11


@pytest.mark.parametrize(
    ("text", "uncased", "cased"),
    [
        ("Zoë\tCAFÉ", "zoe cafe", "Zoë CAFÉ"),
        ("ΟΔΟΣ", "οδοσ", "ΟΔΟΣ"),  # each character by itself: no final sigma
        ("İI", "ii", "İI"),
        ("a\u200bb\u00ad\ufffd\x00\x0bc", "abc", "abc"),
        ("北a京", " 北 a 京 ", " 北 a 京 "),
        ("한", "\u1112\u1161\u11ab", "한"),
        ("\u1fef;\u037e", "`;;", "\u1fef;\u037e"),
    ],
)
def test_text(text: str, uncased: str, cased: str) -> None:
    assert UNCASED(text).text == uncased
    assert CASED(text).text == cased


def test_strip_accents_follows_lowercase_unless_given() -> None:
    assert Normalizer(lowercase=True, strip_accents=False)("É").text == "é"
    assert Normalizer(lowercase=False, strip_accents=True)("É").text == "E"


def test_options_can_be_switched_off() -> None:
    nothing = Normalizer(clean_text=False, handle_chinese_chars=False, lowercase=False)
    text = "北\tÉ\x00\u00a0"
    assert nothing(text).text == text
    assert nothing(text).spans == [(index, index + 1) for index in range(5)]


@pytest.mark.parametrize(
    ("text", "options", "spans"),
    [
        ("a\u200bé", {}, [(0, 1), (2, 3)]),
        ("x北", {}, [(0, 1), (1, 2), (1, 2), (1, 2)]),
        ("İ!", {"strip_accents": False}, [(0, 1), (0, 1), (1, 2)]),  # lower-case i and a dot of its own
        ("한", {}, [(0, 1)] * 3),
        # U+302E sorts before the acute accent, so that it takes the second place and the span that goes with it.
        ("a\u0301\u302eb", {}, [(0, 1), (1, 2), (3, 4)]),
    ],
)
def test_spans(text: str, options: dict[str, bool], spans: list[tuple[int, int]]) -> None:
    assert Normalizer(**options)(text).spans == spans
