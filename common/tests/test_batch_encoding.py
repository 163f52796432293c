from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from tokenizer_cases import CLASSES, tokenizer

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.encoding import BatchEncoding, Encoding

FIRST, SECOND = "The unaffable fox", "Is  it?"
#                [CLS] the un ##aff ##able fox [SEP] is it ? [SEP] [PAD]
LOOKUPS = ("token_to_sequence", "token_to_word", "token_to_chars")


@pytest.fixture(params=CLASSES, ids=lambda cls: cls.__name__)
def encoded(request: pytest.FixtureRequest) -> BatchEncoding:
    one = tokenizer(request.param)
    return one(["a", FIRST], ["b", SECOND], padding="max_length", max_length=12, return_offsets_mapping=True)


def test_views_of_the_tokens(encoded: BatchEncoding) -> None:
    assert " ".join(encoded.tokens(1)) == "[CLS] the un ##aff ##able fox [SEP] is it ? [SEP] [PAD]"
    assert encoded.word_ids(1) == [None, 0, 1, 1, 1, 2, None, 0, 1, 2, None, None]
    assert encoded.sequence_ids(1) == [None, 0, 0, 0, 0, 0, None, 1, 1, 1, None, None]
    assert encoded.tokens() == encoded.tokens(0) != encoded.tokens(1)
    assert encoded.n_sequences == 2


def test_encodings(encoded: BatchEncoding) -> None:
    row = encoded[1]
    assert isinstance(row, Encoding)
    assert len(row) == 12
    assert row.ids == encoded["input_ids"][1]
    assert row.offsets == encoded["offset_mapping"][1]
    assert row.attention_mask == encoded["attention_mask"][1] == [1] * 11 + [0]
    assert row.special_tokens_mask == [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1]
    assert row.type_ids == [0] * 7 + [1] * 4 + [0]
    assert len(encoded.encodings) == row.n_sequences == 2
    assert row.words == row.word_ids


def test_lookups(encoded: BatchEncoding) -> None:
    assert [encoded.token_to_sequence(1, index) for index in (0, 1, 7, 11)] == [None, 0, 1, None]
    assert [encoded.token_to_word(1, index) for index in (0, 4, 8, -1)] == [None, 1, 1, None]
    assert encoded.token_to_chars(1, 3) == (6, 9)
    assert encoded.token_to_chars(1, 6) is None
    assert [getattr(encoded, name)(1, 99) for name in LOOKUPS] == [None] * 3
    assert encoded.word_to_tokens(1, 1) == (2, 5)
    assert encoded.word_to_tokens(1, 1, sequence_index=1) == (8, 9)
    assert encoded.word_to_tokens(1, 9) is None
    assert encoded.word_to_chars(1, 1) == (4, 13)
    assert encoded.word_to_chars(1, 9) is None
    span = encoded.word_to_chars(1, 1, 1)
    assert SECOND[span.start : span.end] == "it"
    assert [encoded.char_to_token(1, char) for char in (0, 3, 8, 16, 99)] == [1, None, 3, 5, None]
    assert [encoded.char_to_word(1, char, 1) for char in (0, 3, 4, 6)] == [0, None, 1, 2]


def test_a_lookup_without_batch_index_is_about_the_first_row(encoded: BatchEncoding) -> None:
    for name in LOOKUPS:
        assert getattr(encoded, name)(1) == getattr(encoded, name)(0, 1)
    for name in ("word_to_tokens", "word_to_chars", "char_to_token", "char_to_word"):
        assert getattr(encoded, name)(0) == getattr(encoded, name)(0, 0) is not None


def test_lookups_in_windows() -> None:
    for cls in CLASSES:
        encoded = tokenizer(cls)(
            "what", "a b c d e", max_length=7, stride=1, truncation="only_second", return_overflowing_tokens=True
        )
        assert encoded["overflow_to_sample_mapping"] == [0, 0]
        assert [encoded.word_ids(row)[3:6] for row in (0, 1)] == [[0, 1, 2], [2, 3, 4]]
        assert encoded.char_to_token(1, 8, 1) == 5
        assert encoded.char_to_token(1, 0, 1) is None


def test_a_mapping_with_attributes(encoded: BatchEncoding) -> None:
    assert list(encoded) == ["input_ids", "attention_mask", "offset_mapping"]
    assert encoded.input_ids is encoded["input_ids"]
    assert {**encoded}.keys() == encoded.keys()
    assert "input_ids" in encoded
    assert encoded[:1]["input_ids"] == encoded["input_ids"][:1]
    encoded["labels"] = [1, 2]
    assert encoded.pop("labels") == [1, 2]
    with pytest.raises(AttributeError, match=r"has no 'labels'; it holds input_ids"):
        encoded.labels  # noqa: B018
    with pytest.raises(KeyError):
        encoded["labels"]


def test_names_of_old_and_rows_by_numpy_numbers(encoded: BatchEncoding) -> None:
    with pytest.warns(FutureWarning, match=r"call word_ids\(\)"):
        assert encoded.words(1) == encoded.word_ids(1)
    assert encoded[np.int64(1)] is encoded[1]
    with pytest.raises(KeyError):
        encoded[1.5]


def test_who_made_it() -> None:
    assert [tokenizer(cls)("a").is_fast for cls in CLASSES] == [False, True]
    assert not BatchEncoding({"input_ids": [1]}).is_fast
    row = tokenizer(CLASSES[1])("a")
    assert BatchEncoding(dict(row), row.encodings).is_fast


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies(encoded: BatchEncoding, clone: Any) -> None:
    other = clone(encoded)
    assert other == encoded
    assert other.word_ids(1) == encoded.word_ids(1)
    assert (other.n_sequences, other.is_fast) == (2, encoded.is_fast)
    other["new"] = 1
    assert "new" not in encoded


def test_a_batch_that_does_not_know_its_text() -> None:
    plain = BatchEncoding({"input_ids": [1, 2]})
    assert plain.encodings is None
    with pytest.raises(TokenizerError, match="does not know its text"):
        plain.word_ids()


def test_conversion_to_tensors() -> None:
    row = BatchEncoding({"input_ids": [1, 2]}, tensor_type="np", prepend_batch_axis=True)
    assert row["input_ids"].shape == (1, 2)
    same = row["input_ids"]
    assert row.convert_to_tensors("np") is row
    assert row["input_ids"] is same
    with pytest.raises(TokenizerError, match=r"'input_ids' cannot become a tensor.*padding=True"):
        BatchEncoding({"input_ids": [[1], [2, 3]]}).convert_to_tensors("np")


def test_to_a_device() -> None:
    encoded = tokenizer(CLASSES[1])("a", return_tensors="pt")
    encoded["name"] = "kept"
    assert encoded.to("meta") is encoded
    assert encoded["input_ids"].device.type == "meta"
    assert encoded["name"] == "kept"
    assert encoded.to(torch.device("meta"), non_blocking=True).attention_mask.device.type == "meta"
    with pytest.warns(UserWarning, match=r"moves tensors to a device.*torch\.float16 changed nothing"):
        assert encoded.to(torch.float16).input_ids.dtype == torch.int64
