from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from tokenizer_cases import CLASSES, tokenizer

from distilbert_common.errors import DistilBertError, InputError, MissingFrameworkError, TokenizerError
from distilbert_common.tokenization.tensors import FRAMEWORKS, Framework

WORDS = ["the", "film", "is", "unaffable"]
TEXT = " ".join(WORDS)


def test_one_text_gives_lists_and_several_give_lists_of_lists(one: Any) -> None:
    single, several = one("the film"), one(["the film"])
    assert several["input_ids"] == [single["input_ids"]]
    assert single["input_ids"] == [2, *one.convert_tokens_to_ids(["the", "film"]), 3]
    assert single["attention_mask"] == [1, 1, 1, 1]
    assert one([]) == {"input_ids": [], "attention_mask": []}


def test_tensors_have_a_batch_axis_also_for_one_text(one: Any) -> None:
    encoded = one("the film", return_tensors="np", return_offsets_mapping=True, return_length=True)
    assert {name: (value.shape, value.dtype) for name, value in encoded.items()} == {
        "input_ids": ((1, 4), np.int64),
        "attention_mask": ((1, 4), np.int64),
        "offset_mapping": ((1, 4, 2), np.int64),
        "length": ((1,), np.int64),
    }
    assert one([], return_tensors="np")["input_ids"].shape == (0, 0)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("text_pair", [None, ["a", "the lazy dog"]])
def test_arrays_hold_what_the_lists_hold(one: Any, side: str, text_pair: list[str] | None) -> None:
    options = {
        "padding": "max_length", "max_length": 12, "truncation": True, "padding_side": side,
        "return_token_type_ids": True, "return_special_tokens_mask": True, "return_offsets_mapping": True,
        "return_length": True, "return_overflowing_tokens": True,
    }  # fmt: skip
    lists = one([TEXT, "a b"], text_pair, **options)
    arrays = one([TEXT, "a b"], text_pair, **options, return_tensors="np")
    assert lists.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, np.array(lists[name]), err_msg=name)
    assert arrays["length"].tolist() == [12, 12]


def test_padding(one: Any) -> None:
    texts = [TEXT, "a"]
    longest = len(one(TEXT)["input_ids"])
    assert longest == 8
    for padding, multiple, width in [(True, None, 8), ("longest", 5, 10), ("max_length", None, 512)]:
        ids = one(texts, padding=padding, pad_to_multiple_of=multiple)["input_ids"]
        assert [len(row) for row in ids] == [width, width]
    left = one(texts, padding=True, padding_side="left")
    assert left["input_ids"][1] == [0] * 5 + one("a")["input_ids"]
    assert left["attention_mask"][1] == [0] * 5 + [1] * 3


def test_sides_of_the_tokenizer_are_the_default(fresh: Any) -> None:
    fresh.padding_side = fresh.truncation_side = "left"
    encoded = fresh(["a b c d", "a"], padding=True, truncation=True, max_length=4)
    assert fresh.batch_decode(encoded["input_ids"]) == ["[CLS] c d [SEP]", "[PAD] [CLS] a [SEP]"]


def test_model_max_length_is_the_default_of_max_length(fresh: Any) -> None:
    fresh.model_max_length = 5
    assert len(fresh(TEXT, truncation=True)["input_ids"]) == 5
    assert len(fresh("a", padding="max_length")["input_ids"]) == 5


def test_words(one: Any) -> None:
    words = one(WORDS, is_split_into_words=True, return_offsets_mapping=True)
    assert words["input_ids"] == one(TEXT)["input_ids"]
    assert words.word_ids() == [None, 0, 1, 2, 3, 3, 3, None]
    assert words["offset_mapping"][-4:-1] == [(0, 2), (2, 5), (5, 9)]  # counted within the word
    batch = one([WORDS, [], ["don't"]], is_split_into_words=True)
    assert [len(row) for row in batch["input_ids"]] == [8, 2, 6]
    assert batch.word_ids(2) == [None, 0, 0, 0, 0, None]
    pair = one(WORDS, ["the", "dog"], is_split_into_words=True)
    assert pair.sequence_ids() == [None, 0, 0, 0, 0, 0, 0, None, 1, 1, None]


def test_pairs_in_every_form(one: Any) -> None:
    expected = one(["a", "b"], ["c", "d"])
    assert one([("a", "c"), ("b", "d")]) == expected
    assert one.batch_encode_plus([["a", "c"], ["b", "d"]]) == expected
    assert one("a", "c")["input_ids"] == expected["input_ids"][0]
    assert one.encode("a", "c") == expected["input_ids"][0]
    assert one.encode_plus("a", "c")["input_ids"] == expected["input_ids"][0]
    assert one("a", "")["input_ids"] == one(["a"], [""])["input_ids"][0]


def test_tokenize(one: Any) -> None:
    assert one.tokenize("The unaffable, naïve") == ["the", "un", "##aff", "##able", ",", "na", "##ive"]
    assert one.tokenize("a", "b", add_special_tokens=True) == ["[CLS]", "a", "[SEP]", "b", "[SEP]"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None,), r"text is of type NoneType; expected a str, or a list of str"),
        ((7,), r"text is of type int"),
        ((["a", None],), r"text\[1\] is of type NoneType"),
        (([["a", "b", "c"]],), r"text\[0\] is of type list.*is_split_into_words=True"),
        (([["a", "b", "c"], "d"],), r"text\[0\] is of type list"),
        ((np.array(["a"]),), r"text is of type ndarray"),
        ((["a"], "b"), r"text holds a list of 1 but text_pair a single text"),
        ((["a"], ["b", "c"]), r"text holds a list of 1 but text_pair a list of 2"),
        (("a", 3), r"text_pair is of type int"),
        ((["a"], [3]), r"text_pair\[0\] is of type int"),
        (("cut \ud83d off",), r"lone surrogate '\\ud83d' at character 4"),
        ((["a", "\udc00"],), r"text\[1\] holds the lone surrogate"),
    ],
)
def test_wrong_texts(one: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        one(*arguments)


@pytest.mark.parametrize("words", [["a", 1], [["a"], 2], [["a"], [None]], None])
def test_wrong_words(one: Any, words: Any) -> None:
    with pytest.raises(TokenizerError, match="is_split_into_words=True"):
        one(words, is_split_into_words=True)


@pytest.mark.parametrize("words", ["a", [["a"], "b"]])
def test_a_text_that_is_not_split_into_words(words: Any) -> None:
    slow = tokenizer(CLASSES[0])(words, is_split_into_words=True)
    assert slow == tokenizer(CLASSES[0])(words if words == "a" else ["a", "b"])
    with pytest.raises(TokenizerError, match="is_split_into_words=True"):
        tokenizer(CLASSES[1])(words, is_split_into_words=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "all"}, r"padding is 'all'; expected one of True, 'longest'"),
        ({"padding": 3}, "padding is 3"),
        ({"truncation": "first"}, "truncation is 'first'"),
        ({"padding_side": "middle"}, "padding_side is 'middle'"),
        ({"max_length": 0, "truncation": True}, "max_length is 0"),
        ({"max_length": 2.5, "padding": "max_length"}, "max_length is 2.5"),
        ({"pad_to_multiple_of": 0, "padding": True}, "pad_to_multiple_of is 0"),
        ({"stride": -1}, "stride is -1"),
        ({"max_length": 9, "truncation": True, "padding": True, "pad_to_multiple_of": 8}, "not a multiple"),
        ({"return_tensors": "torch"}, "return_tensors is 'torch'; expected None or one of np, pt, tf, jax"),
        ({"return_tensors": "np"}, r"'input_ids' has rows of 3 to 8 tokens.*padding=True"),
    ],
)
def test_wrong_options(one: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        one([TEXT, "a"], **options)


def test_unknown_arguments_are_errors(one: Any) -> None:
    with pytest.raises(TypeError, match="return_tensor"):
        one("a", return_tensor="np")
    assert not issubclass(TokenizerError, InputError)
    assert issubclass(TokenizerError, DistilBertError)


def test_a_framework_that_is_not_installed(one: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FRAMEWORKS, "tf", Framework("not_there.at_all", "tf", "Tensor", lambda module, array: array))
    with pytest.raises(MissingFrameworkError, match=r"return_tensors='tf' needs not_there.*distilbert\[tf\]"):
        one("a", return_tensors="tf")


def test_a_text_that_is_too_long_warns_once(fresh: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    fresh.model_max_length = 5
    fresh(TEXT, verbose=False)
    fresh(TEXT, truncation=True)
    fresh("a")
    assert not caplog.records
    fresh(TEXT)
    fresh([TEXT, "a"])
    assert len(caplog.records) == 1
    assert "8 tokens long, more than the 5 that the model takes" in caplog.text


def test_max_length_alone_truncates_and_warns_once(fresh: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert len(fresh(TEXT, max_length=5)["input_ids"]) == 5
    assert len(fresh(TEXT, max_length=6)["input_ids"]) == 6
    assert len(fresh(TEXT, max_length=5, truncation=False)["input_ids"]) == 8
    assert len(fresh(TEXT, max_length=5, padding=True)["input_ids"]) == 8
    assert len(caplog.records) == 1
    assert "pass truncation=True" in caplog.text
