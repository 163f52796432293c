"""Vocabularies as they lie about: blank lines, byte order marks, trained tokenizers without all of their parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizer_cases import CLASSES, SMALL, write_files

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization import DistilBertTokenizer

LINES = SMALL.read_bytes()
N_PIECES = 353

each_class = pytest.mark.parametrize("cls", CLASSES)


@each_class
@pytest.mark.parametrize(
    ("content", "added", "size", "new_id"),
    [
        (LINES + b"\n", {}, 354, 354),
        (LINES + b"\n\n\n", {}, 354, 354),
        (LINES + b"\n", {"<a>": 354}, 354, 355),
        (LINES + b"\n\n", {"<a>": 354}, 354, 355),
        (LINES + b"\n\n", {"<a>": 355}, 354, 356),
        (LINES + b"\n", {"<a>": 353}, 354, 354),
        (LINES, {"<a>": 360}, 353, 361),
        (LINES.replace(b"\n", b"\r\n"), {"<a>": 353}, 353, 354),
        (b"\xef\xbb\xbf" + LINES, {"<a>": 353}, 353, 354),
        (LINES[:-1], {}, 353, 353),
        (LINES + b"film\nlast one\n", {}, 355, 355),
    ],
)
def test_ids_are_those_of_transformers(
    cls: type, content: bytes, added: dict[str, int], size: int, new_id: int, tmp_path: Path
) -> None:
    (tmp_path / "vocab.txt").write_bytes(content)
    write_files(tmp_path, {"added_tokens.json": added} if added else {})
    one = cls.from_pretrained(tmp_path)
    assert (one.vocab_size, one.pad_token_id) == (size, 0)
    assert one.encode("<a>")[1:-1] == list(added.values()) or not added
    assert one.add_tokens(["<new>"]) == 1
    assert one.encode("hello <new>") == [2, 221, new_id, 3]
    assert len(one) == new_id + 1
    one.save_pretrained(tmp_path / "saved")
    again = cls.from_pretrained(tmp_path / "saved")
    assert again("hello <a> <new> film")["input_ids"] == one("hello <a> <new> film")["input_ids"]
    assert (again.vocab_size, len(again)) == (one.vocab_size, len(one))


@each_class
def test_a_trained_tokenizer_without_post_processor(cls: type, tmp_path: Path, caplog: Any) -> None:
    library = tokenizers.BertWordPieceTokenizer()
    library.train_from_iterator(["hello world", "the film", "the world"] * 9, vocab_size=60, show_progress=False)
    library.save(str(tmp_path / "tokenizer.json"))
    one = cls.from_pretrained(tmp_path)
    assert "tokenizer.json has no post_processor, so texts get no [CLS] and [SEP]" in caplog.text
    assert one.encode("Hello film") == library.encode("Hello film").ids
    assert one.num_special_tokens_to_add() == 0
    assert one(["the", "the film"], padding=True)["attention_mask"] == [[1, 0], [1, 1]]
    one.save_pretrained(tmp_path / "saved")
    assert cls.from_pretrained(tmp_path / "saved").encode("Hello film") == one.encode("Hello film")
    (path,) = one.save_vocabulary(tmp_path / "as_advised")
    assert cls.from_pretrained(path).encode("Hello film") == [2, *one.encode("Hello film"), 3]


def parts(tmp_path: Path, **changes: Any) -> Path:
    DistilBertTokenizer(SMALL).save_pretrained(tmp_path / "saved")
    content = json.loads((tmp_path / "saved" / "tokenizer.json").read_text(encoding="utf-8"))
    write_files(tmp_path, {"tokenizer.json": {**content, **changes}})
    return tmp_path


@each_class
def test_without_normalizer_a_text_is_left_as_it_is(cls: type, tmp_path: Path) -> None:
    one = cls.from_pretrained(parts(tmp_path, normalizer=None))
    assert one.tokenize("the film, The") == ["the", "film", ",", "[UNK]"]
    one.save_pretrained(tmp_path / "saved")
    assert cls.from_pretrained(tmp_path / "saved").tokenize("the film, The") == ["the", "film", ",", "[UNK]"]


@each_class
def test_split_at_white_space_only(cls: type, tmp_path: Path) -> None:
    one = cls.from_pretrained(parts(tmp_path, pre_tokenizer={"type": "WhitespaceSplit"}))
    assert one.tokenize("The film,  good\tthe") == ["the", "[UNK]", "good", "the"]
    one.save_pretrained(tmp_path / "saved")
    assert cls.from_pretrained(tmp_path / "saved").tokenize("The film,  good\tthe") == ["the", "[UNK]", "good", "the"]


@each_class
def test_padding_and_truncation_leave_their_sides(cls: type, tmp_path: Path) -> None:
    truncation = {"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    padding = {"strategy": {"Fixed": 8}, "direction": "Left", "pad_id": 1, "pad_type_id": 0, "pad_token": "[UNK]"}
    one = cls.from_pretrained(parts(tmp_path, truncation=truncation, padding=padding))
    assert (one.padding_side, one.truncation_side, one.pad_token) == ("left", "left", "[PAD]")
    assert one(["the", "the film"], padding=True)["input_ids"] == [[0, 2, 129, 3], [2, 129, 178, 3]]
    assert len(one.encode("the film is good and long")) > 4


@each_class
def test_truncation_of_an_old_file_names_no_side_and_is_on_the_right(cls: type, tmp_path: Path) -> None:
    truncation = {"max_length": 4, "strategy": "LongestFirst", "stride": 0}  # before tokenizers 0.11
    one = cls.from_pretrained(parts(tmp_path, truncation=truncation))
    assert one.truncation_side == "right"
    assert one("the film is good", truncation=True, max_length=4)["input_ids"] == one("the film")["input_ids"]


@each_class
@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        ({"decoder": None}, ["walk", "##ing"]),
        ({"added_tokens": None}, ["walk", "##ing"]),
        ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "BertNormalizer", "lowercase": True}]}}, None),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "BertPreTokenizer"}]}}, None),
    ],
)
def test_parts_that_change_nothing(cls: type, changes: Any, tokens: Any, tmp_path: Path) -> None:
    one = cls.from_pretrained(parts(tmp_path, **changes))
    assert one.tokenize("Walking") == (tokens or ["walk", "##ing"])
    assert one.decode(one.encode("walking"), skip_special_tokens=True) == "walking"


@each_class
@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"pre_tokenizer": {"type": "Whitespace"}}, "transformers' PreTrainedTokenizerFast, for this file"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}]}},
            "normalizer Seq",
        ),
        ({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["[UNK]", 0.0]]}}, "has model Unigram"),
        ({"pre_tokenizer": None}, "BertPreTokenizer.. before you save it"),
        (
            {"model": {"type": "WordPiece", "vocab": {"a": 0}}, "added_tokens": []},
            "if it was trained without special tokens, train it with",
        ),
    ],
)
def test_other_parts_are_refused_with_a_cure(cls: type, changes: Any, advice: str, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=advice):
        cls.from_pretrained(parts(tmp_path, **changes))


@each_class
def test_from_memory(cls: type) -> None:
    library = tokenizers.BertWordPieceTokenizer(str(SMALL))
    one = cls(tokenizer_object=library)
    assert one.encode("the film") == library.encode("the film").ids == [2, 129, 178, 3]
    assert cls(vocab=library.get_vocab()).encode("the film") == [2, 129, 178, 3]


@each_class
def test_no_piece_for_unknown_words(cls: type, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(LINES.replace(b"[UNK]", b"<unk>"))
    assert cls.from_pretrained(tmp_path, unk_token="<unk>").tokenize("\U0001f600 the") == ["<unk>", "the"]
    with pytest.raises(TokenizerError, match=r"unk_token is null and the vocabulary has no \[UNK\]; pass unk_token="):
        cls.from_pretrained(tmp_path, unk_token=None)


@each_class
def test_white_space_in_a_vocabulary(cls: type, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(LINES.replace(b"[PAD]", b"[PAD] "))
    with pytest.raises(TokenizerError, match=r"has no \[PAD\]; it has '\[PAD\] ': take the white space away"):
        cls.from_pretrained(tmp_path)
