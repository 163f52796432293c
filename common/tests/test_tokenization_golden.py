"""Both tokenizers give what transformers' fast tokenizer gave, option for option."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizer_cases import CLASSES, VOCABULARIES, as_json, golden, tokenizer

from distilbert_common.errors import TokenizerError


def cases(kind: str, vocabulary: str) -> list[dict[str, Any]]:
    return [case for case in golden(kind) if case["vocab"] == vocabulary]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_texts(cls: type, vocabulary: str) -> None:
    one = tokenizer(cls, vocabulary)
    assert len(cases("single", vocabulary)) in (30, 40)
    for case in cases("single", vocabulary):
        encoded = one(case["text"], return_offsets_mapping=True, return_special_tokens_mask=True)
        assert encoded["input_ids"] == case["fast_ids"], case["text"]
        assert as_json(encoded["offset_mapping"]) == case["offsets"], case["text"]
        assert encoded["special_tokens_mask"] == case["special"], case["text"]
        assert encoded.word_ids() == case["word_ids"], case["text"]
        text = one.decode(case["fast_ids"], skip_special_tokens=True, clean_up_tokenization_spaces=True)
        assert text == case["fast_decode"]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("vocabulary", [name for name in VOCABULARIES if name != "small_cased"])
def test_calls(cls: type, vocabulary: str) -> None:
    one = tokenizer(cls, vocabulary)
    errors = 0
    for case in cases("calls", vocabulary):
        texts = (case["first"], case["second"])
        if "error" in case["result"]:
            errors += 1
            with pytest.raises(TokenizerError, match="cannot bring sample"):
                one(*texts, **case["options"])
        else:
            assert as_json(dict(one(*texts, **case["options"]))) == case["result"], case["options"]
    assert errors in (2, 3)
    assert len(cases("calls", vocabulary)) in (16, 24)


@pytest.mark.parametrize("cls", CLASSES)
def test_no_token_type_ids_unless_asked_for(cls: type) -> None:
    one = tokenizer(cls)
    assert list(one("a", "b")) == ["input_ids", "attention_mask"]
    assert one("a", "b", return_token_type_ids=True)["token_type_ids"] == [0, 0, 0, 1, 1]
