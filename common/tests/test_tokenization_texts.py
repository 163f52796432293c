"""Every form of input, and the order of arguments: what transformers 4.57's class of the same name makes of them."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import numpy as np
import pytest
from tokenizer_cases import CLASSES, DATA, as_json, tokenizer

from distilbert_common.errors import TextTypeError, TokenizerError

CASES = json.loads((DATA / "tokenizer_calls.json").read_text(encoding="utf-8"))
"""Calls with their results in transformers 4.57, by class; null where it raises."""


@pytest.mark.parametrize("method", sorted({case["method"] for case in CASES}))
def test_each_call_gives_what_transformers_gives(one: Any, method: str) -> None:
    expected = [case for case in CASES if case["method"] == method and case["fast" if one.is_fast else "slow"]]
    assert expected
    for case in expected:
        result = getattr(one, method)(*case["args"], **case["options"])
        result = dict(result) if hasattr(result, "items") else result
        assert as_json(result) == case["fast" if one.is_fast else "slow"], case


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: one.encode(["a", None, "b"]), "text holds None; expected a str"),
        (lambda one: one.encode(b"a"), "text is of type bytes"),
        (lambda one: one.encode([]), "text is a list of 0 strings"),
        (lambda one: one.encode([True, False]), "holds True|is of type bool"),
        (lambda one: one.batch_encode_plus("a b"), "the batch is of type str; expected a list of texts or of pairs"),
        (lambda one: one.batch_encode_plus([["a", "b", "c"]]), r"text\[0\] is of type list.*is_split_into_words=True"),
        (lambda one: one(text_target=None), "text is of type NoneType"),
    ],
)
def test_what_is_no_text(one: Any, call: Any, message: str) -> None:
    with pytest.raises(TextTypeError, match=message) as caught:
        call(one)
    assert all(isinstance(caught.value, kind) for kind in (TokenizerError, TypeError, ValueError))


def test_a_list_of_strings_is_no_single_text_of_the_fast_tokenizer() -> None:
    with pytest.raises(TokenizerError, match="text is a list of 3 strings; expected a str, or a list of token ids"):
        tokenizer(CLASSES[1]).encode(["the", "un", "##aff"])


def test_any_sequence_is_a_batch(one: Any) -> None:
    class Column(tuple):
        """What `datasets` gives for a column: a sequence, but no list."""

    assert one(Column(["a b", "the"])) == one(["a b", "the"])
    assert one.encode(np.array([5, 6]).tolist()) == one.encode([np.int64(5), np.int32(6)]) == [2, 5, 6, 3]


def test_ids_can_be_looked_up_like_texts(one: Any) -> None:
    encoded = one.batch_encode_plus([([5, 6], [7]), ("a b", None)], padding=True, return_offsets_mapping=True)
    assert encoded.sequence_ids(0) == [None, 0, 0, None, 1, None]
    assert encoded.word_ids(0) == [None] * 6
    assert encoded["offset_mapping"][0] == [(0, 0)] * 6
    assert encoded.sequence_ids(1) == [None, 0, 0, None, None, None]
    assert encoded.n_sequences == 2


@pytest.mark.parametrize("overflow", [False, True])
def test_samples_with_and_without_a_second_text_are_truncated_each_to_its_room(one: Any, overflow: bool) -> None:
    options = {"truncation": True, "max_length": 6, "return_overflowing_tokens": overflow}
    together = one([("a b c d e", "a"), "a b c d e"], **options)
    apart = [one(*texts, **options)["input_ids"] for texts in (("a b c d e", "a"), ("a b c d e",))]
    assert together["input_ids"] == ([*apart[0], *apart[1]] if overflow else apart)


class Strategy(StrEnum):
    """An enumeration like transformers' PaddingStrategy, TruncationStrategy and TensorType."""

    MAX_LENGTH = "max_length"
    ONLY_FIRST = "only_first"
    NUMPY = "np"


def test_members_of_enumerations_and_numpy_numbers(one: Any) -> None:
    length = np.int64(6)
    encoded = one(
        "a b c d e f", padding=Strategy.MAX_LENGTH, truncation=Strategy.ONLY_FIRST, max_length=length,
        return_tensors=Strategy.NUMPY, stride=np.int32(0),
    )  # fmt: skip
    assert encoded["input_ids"].shape == (1, 6)
    assert (
        one.pad({"input_ids": [2, 3]}, Strategy.MAX_LENGTH, length, return_tensors=Strategy.NUMPY)["input_ids"].size
        == 6
    )


def test_old_names_of_options(one: Any) -> None:
    with pytest.warns(FutureWarning, match="pad_to_max_length is deprecated; pass padding='max_length'") as caught:
        assert len(one("a", pad_to_max_length=True, max_length=5)["input_ids"]) == 5
    assert caught[0].filename == __file__
    with pytest.warns(FutureWarning, match="truncation_strategy is deprecated; pass truncation='only_first'"):
        assert len(one.encode("a b c d", truncation_strategy="only_first", max_length=5)) == 5
    assert one.encode("a", pad_to_max_length=False) == one.encode("a")
    with pytest.warns(FutureWarning, match="text_target"), one.as_target_tokenizer():
        assert one("a") == one(text_target="a")


def test_options_by_position_and_by_name(one: Any) -> None:
    with pytest.raises(TypeError, match="max_length was given by position and by name"):
        one.encode("a", None, True, False, True, 8, max_length=9)
    with pytest.raises(TypeError, match="8 positional options were given; there are 7"):
        one.encode("a", None, *[None] * 8)
    with pytest.raises(TypeError, match="a call has no option return_tensor; it has add_special_tokens, padding"):
        one.encode_plus("a", return_tensor="np")


def test_input_names_of_the_tokenizer_are_the_default_columns(fresh: Any) -> None:
    assert fresh.model_input_names == ["input_ids", "attention_mask"]
    fresh.model_input_names = ["input_ids", "token_type_ids"]
    assert list(fresh("a", "b")) == ["input_ids", "token_type_ids"]
    assert list(fresh.prepare_for_model([5])) == ["input_ids", "token_type_ids"]
    assert list(fresh.pad([{"input_ids": [5]}])) == ["input_ids"]
    assert list(fresh("a", return_attention_mask=True, return_token_type_ids=False)) == ["input_ids", "attention_mask"]


def test_special_tokens_can_be_cut_like_text(fresh: Any, tmp_path: Any) -> None:
    fresh.add_tokens(["<ent>"])
    as_text = fresh.tokenize("[mask]<ent>")
    assert as_text[0] == "["
    assert fresh.tokenize("[MASK]<ent>", split_special_tokens=True) == as_text
    assert fresh.tokenize("[MASK]<ent>") == ["[MASK]", "<ent>"]
    fresh.split_special_tokens = True
    assert fresh.tokenize("[MASK]<ent>") == as_text
    fresh.model_input_names = ["input_ids"]
    fresh.save_pretrained(tmp_path)
    again = type(fresh).from_pretrained(tmp_path)
    assert (again.split_special_tokens, again.model_input_names) == (True, ["input_ids"])


def test_lengths_beside_the_special_tokens(one: Any) -> None:
    assert (one.max_len_single_sentence, one.max_len_sentences_pair) == (510, 509)


def test_preparing_ids_for_the_model(one: Any, caplog: pytest.LogCaptureFixture) -> None:
    tensors = one.prepare_for_model([5, 6], [7], return_tensors="np", prepend_batch_axis=True)
    assert tensors["input_ids"].tolist() == [[2, 5, 6, 3, 7, 3]]
    assert one.prepare_for_model([5, 6], None, False)["input_ids"] == [5, 6]
    assert one.truncate_sequences([5, 6], None, 2) == ([5, 6], None, [])
    assert "use 'longest_first' or raise max_length" in caplog.text
    with pytest.raises(TokenizerError, match="needs add_special_tokens=True"):
        one.prepare_for_model([5], add_special_tokens=False, return_token_type_ids=True)
    with pytest.raises(TokenizerError, match="needs truncation='only_first' or 'only_second'"):
        one.prepare_for_model([5], [6], truncation=True, max_length=5, return_overflowing_tokens=True)


def test_truncation_from_the_left(fresh: Any) -> None:
    fresh.truncation_side = "left"
    assert fresh.truncate_sequences([5, 6, 7], None, 1, stride=1) == ([6, 7], None, [5, 6])
    assert fresh.truncate_sequences([5, 6, 7], [8], 2) == ([7], [8], [])
    assert fresh.prepare_for_model([5, 6, 7], max_length=4, truncation=True)["input_ids"] == [2, 6, 7, 3]
