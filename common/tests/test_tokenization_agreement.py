"""The two tokenizers give the same ids, offsets and word ids, whatever the text."""

from __future__ import annotations

import itertools
import json
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_cases import CLASSES, SHARED, VOCABULARIES, golden, tokenizer

from distilbert_common.tokenization import AddedToken, DistilBertTokenizer, DistilBertTokenizerFast

NORMALIZERS = [
    {"do_lower_case": lower, "strip_accents": strip, "tokenize_chinese_chars": chinese, "clean_text": clean}
    for lower, strip, chinese, clean in itertools.product(
        (True, False), (None, True, False), (True, False), (True, False)
    )
]

ADDED = [
    AddedToken("<plain>"),
    AddedToken("Größe New"),
    AddedToken("<left>", lstrip=True),
    AddedToken("<right>", rstrip=True, normalized=False),
    AddedToken("<word>", single_word=True),
    AddedToken("<raw>", normalized=False, special=True),
]


def is_telling(char: str) -> bool:
    """Whether a character means something to a normalizer: it has cases, parts, a combining class, or splits words."""
    return (
        unicodedata.category(char)[0] in "MPZC"
        or char.lower() != char
        or unicodedata.decomposition(char) != ""
        or unicodedata.combining(char) != 0
    ) and unicodedata.category(char) not in ("Cn", "Co", "Cs")


TELLING = [char for char in map(chr, range(sys.maxunicode + 1)) if is_telling(char)]


@pytest.fixture(scope="module")
def telling_vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary of single characters, so that no difference can hide behind [UNK]."""
    parts = {part for char in TELLING for part in (char, *char.lower(), *unicodedata.normalize("NFD", char))}
    parts.update(map(chr, range(33, 127)))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += [prefix + part for part in sorted(parts - {"\n", "\r"}) for prefix in ("", "##")]
    path = tmp_path_factory.mktemp("telling") / "vocab.txt"
    path.write_text("\n".join(pieces) + "\n", encoding="utf-8", newline="\n")
    return path


def texts() -> st.SearchStrategy[str]:
    """Texts full of marks, punctuation, white space, special and added tokens; without unassigned code points.

    Category Cn is left out for one reason: Python cannot lower-case letters newer than its own Unicode tables.
    """
    words = ["[MASK]", "[SEP]", "##ing", "unaffable", "Größe", "北京", "é", *(token.content for token in ADDED)]
    parts = st.one_of(
        st.sampled_from(TELLING),
        st.sampled_from(words),
        st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=4),
        st.sampled_from([" ", "\u0300", "\u0316", "\u302e", "ΑΣ", "İ", "a", "B", "x" * 101]),
    )
    return st.lists(parts, max_size=12).map("".join)


def assert_agreement(slow: DistilBertTokenizer, fast: DistilBertTokenizerFast, text_list: list[str]) -> None:
    first, second = (one(text_list, return_offsets_mapping=True) for one in (slow, fast))
    for index, text in enumerate(text_list):
        for name in ("input_ids", "offset_mapping"):
            assert first[name][index] == second[name][index], (text, name)
        assert first.word_ids(index) == second.word_ids(index), text


@given(text=texts())
@settings(max_examples=100, deadline=None)
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_any_text(vocabulary: str, text: str) -> None:
    assert_agreement(*(tokenizer(cls, vocabulary) for cls in CLASSES), [text])


@given(text=texts(), options=st.sampled_from(NORMALIZERS))
@settings(max_examples=100, deadline=None)
def test_any_text_with_any_normalizer(text: str, options: dict[str, bool | None]) -> None:
    assert_agreement(*(tokenizer(cls, **options) for cls in CLASSES), [text])


@given(words=st.lists(texts(), max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_words(words: list[str]) -> None:
    options = {"is_split_into_words": True, "return_offsets_mapping": True}
    first, second = (tokenizer(cls)(words, **options) for cls in CLASSES)
    assert first == second
    assert first.word_ids() == second.word_ids()


@pytest.fixture(scope="module", params=NORMALIZERS[::9], ids=lambda options: str(list(options.values())))
def telling_pair(
    request: pytest.FixtureRequest, telling_vocabulary: Path
) -> tuple[DistilBertTokenizer, DistilBertTokenizerFast]:
    pair = (
        DistilBertTokenizer(telling_vocabulary, **request.param),
        DistilBertTokenizerFast(telling_vocabulary, **request.param),
    )
    for one in pair:
        assert one.add_tokens(ADDED) == len(ADDED)
    return pair


@given(text=texts())
@settings(max_examples=100, deadline=None)
def test_any_text_with_added_tokens(
    telling_pair: tuple[DistilBertTokenizer, DistilBertTokenizerFast], text: str
) -> None:
    assert_agreement(*telling_pair, [text])


def test_every_telling_character(telling_pair: tuple[DistilBertTokenizer, DistilBertTokenizerFast]) -> None:
    assert len(TELLING) > 9000
    for start in range(0, len(TELLING), 2000):
        chars = TELLING[start : start + 2000]
        assert_agreement(*telling_pair, [f"a{char}b {char} \u0316{char}\u0300 <word>{char}" for char in chars])


def real_texts() -> Iterator[str]:
    """The golden texts; and where they are at hand, texts in seven languages and messages full of emoji and links."""
    yield from (case["text"] for case in golden("single"))
    if SHARED is None:
        return
    for path in sorted((SHARED / "data" / "xquad").iterdir()):
        for article in json.loads(path.read_text(encoding="utf-8"))["data"][:2]:
            yield from (paragraph["context"] for paragraph in article["paragraphs"])
    yield from (SHARED / "data" / "wnut17" / "emerging.test.annotated").read_text(encoding="utf-8").split("\n\n")[:500]


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_real_texts(vocabulary: str) -> None:
    text_list = list(real_texts())
    assert len(text_list) == 60 or len(text_list) > 600
    assert_agreement(*(tokenizer(cls, vocabulary) for cls in CLASSES), text_list)
