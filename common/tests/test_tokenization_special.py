from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from tokenizer_cases import CLASSES, SMALL, tokenizer

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization import AddedToken


def test_the_special_tokens(fresh: Any) -> None:
    roles = {"unk": 1, "sep": 3, "pad": 0, "cls": 2, "mask": 4}
    for role, index in roles.items():
        assert getattr(fresh, f"{role}_token") == f"[{role.upper()}]"
        assert getattr(fresh, f"{role}_token_id") == index
    assert fresh.special_tokens_map == {f"{role}_token": f"[{role.upper()}]" for role in roles}
    assert fresh.all_special_ids == [1, 3, 0, 2, 4]
    assert fresh.additional_special_tokens == []
    assert bool(fresh)


def test_sizes_and_vocabulary(fresh: Any) -> None:
    assert fresh.vocab_size == len(fresh) == len(fresh.get_vocab()) == 353
    fresh.add_tokens(["<ent>"])
    assert (fresh.vocab_size, len(fresh)) == (353, 354)
    assert fresh.vocab["<ent>"] == 353
    fresh.get_vocab()["unheard"] = 1
    assert "unheard" not in fresh.vocab


def test_added_tokens_are_found_before_anything_else(fresh: Any) -> None:
    assert "<ent>" not in fresh.tokenize("a<ent>b")
    assert fresh.add_tokens(["<ent>", "New Token"]) == 2
    assert fresh.tokenize("a<ent>b <ENT> new token") == ["a", "<ent>", "b", "<ent>", "New Token"]
    assert fresh.add_tokens("<ent>") == 0
    assert fresh.add_tokens([AddedToken("<ent>", normalized=False), "<other>"]) == 2
    assert fresh.tokenize("<ent><ENT>")[0] == "<ent>"
    assert fresh.tokenize("<ent><ENT>").count("<ent>") == 1
    assert fresh.convert_tokens_to_ids(["<ent>", "New Token", "<other>"]) == [353, 354, 355]


def test_a_piece_that_is_added_keeps_its_id(fresh: Any) -> None:
    index = fresh.convert_tokens_to_ids("film")
    assert fresh.add_tokens(["film"]) == 1
    assert len(fresh) == 353
    assert fresh.encode("xfilmx", add_special_tokens=False)[1] == index


@pytest.mark.parametrize(
    ("token", "text", "offsets"),
    [
        (AddedToken("<t>"), "a <t> b", (2, 5)),
        (AddedToken("<t>", lstrip=True), "a  <t> b", (1, 6)),
        (AddedToken("<t>", rstrip=True), "a <t>\t b", (2, 7)),
        (AddedToken("<t>", rstrip=True, normalized=False), "a <t>\t b", (2, 7)),
        (AddedToken("<t>", single_word=True), "a<t> <t> <t>1", (5, 8)),
        (AddedToken("<t>", single_word=True), "ⓐ<t> (<t>) <t>Ⓑ", (6, 9)),
        (AddedToken("<t>", single_word=True, normalized=False), "e\u0301<t> !<t>", (7, 10)),
        (AddedToken("<T>É"), "a <t>E\u0301", (2, 6)),
    ],
)
def test_flags(fresh: Any, token: AddedToken, text: str, offsets: tuple[int, int]) -> None:
    fresh.add_tokens([token])
    encoded = fresh(text, return_offsets_mapping=True)
    matches = [
        span
        for span, index in zip(encoded["offset_mapping"], encoded["input_ids"], strict=True)
        if index == fresh.convert_tokens_to_ids(token.content)
    ]
    assert matches == [offsets]


def test_tokens_of_the_library_are_understood(fresh: Any) -> None:
    assert fresh.add_tokens([tokenizers.AddedToken("<t>", lstrip=True, special=True)]) == 1
    assert fresh.added_tokens_decoder[353] == AddedToken("<t>", lstrip=True, normalized=False, special=True)
    assert fresh.get_added_vocab()["<t>"] == 353


def test_adding_special_tokens(fresh: Any) -> None:
    assert fresh.add_special_tokens({"pad_token": "<pad>", "additional_special_tokens": ["<a>", "<b>"]}) == 3
    assert (fresh.pad_token, fresh.pad_token_id) == ("<pad>", 353)
    assert fresh.additional_special_tokens == ["<a>", "<b>"]
    assert fresh(["a", "a b"], padding=True)["input_ids"][0][-1] == 353
    assert fresh.decode(fresh.encode("x <a> <pad> y"), skip_special_tokens=True) == "x y"
    assert (
        fresh.add_special_tokens({"additional_special_tokens": ["<c>"]}, replace_additional_special_tokens=False) == 1
    )
    assert fresh.additional_special_tokens == ["<a>", "<b>", "<c>"]
    assert fresh.add_special_tokens({"additional_special_tokens": ["<d>"]}) == 1
    assert fresh.additional_special_tokens == ["<d>"]
    assert fresh.special_tokens_map["additional_special_tokens"] == ["<d>"]
    assert fresh.tokenize("<A><a>")[-1] == "<a>"  # special tokens are matched in the text as it is


def test_setting_a_role(fresh: Any) -> None:
    fresh.unk_token = "the"
    assert fresh.tokenize("ξ") == ["the"]
    fresh.sep_token = "!"
    assert fresh.encode("a")[-1] == fresh.convert_tokens_to_ids("!")
    fresh.pad_token = "<absent>"
    assert fresh.pad_token_id is None
    with pytest.raises(TokenizerError, match=r"pad_token is '<absent>', which is not in the vocabulary: add it with"):
        fresh("a", padding="max_length")


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ([5], "a string or an AddedToken; got 5"),
        (["\u200b"], "nothing is left of the added token"),
        ([AddedToken("<r>", rstrip=True), AddedToken(" x")], "begins with the white space"),
    ],
)
def test_tokens_that_cannot_be_added(fresh: Any, added: list[Any], message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        fresh.add_tokens(added)
    assert len(fresh) == 353
    assert len(fresh.added_tokens_decoder) == 5


def test_roles_that_cannot_be_given(fresh: Any) -> None:
    with pytest.raises(TokenizerError, match="no special token 'dot_token'; expected one of bos_token"):
        fresh.add_special_tokens({"dot_token": "<s>"})
    with pytest.raises(TokenizerError, match="unk_token must be a piece"):
        fresh.unk_token = "<absent>"
    assert len(fresh) == 353


def test_composing_by_hand(fresh: Any) -> None:
    first, second = (fresh.encode(text, add_special_tokens=False) for text in ("a b", "c"))
    assert fresh.build_inputs_with_special_tokens(first) == fresh.encode("a b")
    assert fresh.build_inputs_with_special_tokens(first, second) == fresh.encode("a b", "c")
    for pair in ((first,), (first, second)):
        ids = fresh.build_inputs_with_special_tokens(*pair)
        expected = fresh(
            "a b", "c" if len(pair) == 2 else None, return_token_type_ids=True, return_special_tokens_mask=True
        )
        assert fresh.create_token_type_ids_from_sequences(*pair) == expected["token_type_ids"]
        assert fresh.get_special_tokens_mask(*pair) == expected["special_tokens_mask"]
        assert fresh.get_special_tokens_mask(ids, already_has_special_tokens=True) == expected["special_tokens_mask"]
        assert fresh.num_special_tokens_to_add(len(pair) == 2) == sum(expected["special_tokens_mask"])


def test_conversion(fresh: Any) -> None:
    assert fresh.convert_tokens_to_ids("nonsense!") == fresh.unk_token_id
    ids = fresh.convert_tokens_to_ids(["the", "[SEP]", "##ing"])
    assert fresh.convert_ids_to_tokens(ids) == ["the", "[SEP]", "##ing"]
    assert fresh.convert_ids_to_tokens(np.array(ids), skip_special_tokens=True) == ["the", "##ing"]
    assert fresh.convert_ids_to_tokens(3) == "[SEP]"
    assert fresh.convert_ids_to_tokens(range(2, 4)) == fresh.convert_ids_to_tokens(iter([2, 3])) == ["[CLS]", "[SEP]"]
    assert fresh.decode(dict.fromkeys([2, 3]).keys()) == fresh.decode(range(2, 4)) == "[CLS] [SEP]"
    joined = "walking, the dog" if fresh.is_fast else "walking , the dog"
    assert fresh.convert_tokens_to_string(["walk", "##ing", ",", "the", "dog"]) == joined


@pytest.mark.parametrize("ids", [[2, -100], [353], [[2]], ["a"], 2.0])
def test_ids_outside_the_vocabulary(fresh: Any, ids: Any) -> None:
    with pytest.raises(TokenizerError, match=r"is not an id of this vocabulary, 0 to 352.*-100"):
        fresh.decode(ids)


def test_decoding(fresh: Any) -> None:
    ids = fresh.encode("Don't walk, [MASK]! It's 'so' good.")
    clean = {"clean_up_tokenization_spaces": True}
    assert fresh.decode(ids, **clean) == "[CLS] don't walk, [MASK]! it's'so'good. [SEP]"
    assert fresh.decode(ids, skip_special_tokens=True, **clean) == "don't walk,! it's'so'good."
    spaced = "don ' t walk, [MASK]! it ' s." if fresh.is_fast else "don ' t walk , [MASK] ! it ' s ."
    ids = fresh.encode("Don't walk, [MASK]! It's.", add_special_tokens=False)
    assert fresh.decode(ids, clean_up_tokenization_spaces=False) == spaced
    assert type(fresh)(SMALL, clean_up_tokenization_spaces=False).batch_decode([ids]) == [spaced]
    assert fresh.decode([]) == ""
    assert fresh.decode(3) == "[SEP]"
    assert fresh.decode(fresh.convert_tokens_to_ids(["##ing", "the", "##ing"])) == "##ing theing"


def test_each_class_cleans_up_as_its_namesake_does(fresh: Any, tmp_path: Path) -> None:
    ids = fresh.encode("it's.", add_special_tokens=False)
    assert fresh.decode(ids) == "it's."
    assert fresh.clean_up_tokenization("do n't , i 'm .") == "don't, i'm."
    fresh.save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    again = type(fresh).from_pretrained(tmp_path)  # from tokenizer.json, which says nothing about it
    assert again.decode(ids) == ("it ' s." if fresh.is_fast else "it's.")
    again.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert saved["clean_up_tokenization_spaces"] is not fresh.is_fast


def test_a_special_token_alone_can_be_skipped(fresh: Any) -> None:
    assert fresh.batch_decode([3, 5], skip_special_tokens=True) == ["", fresh.decode(5)]
    assert fresh.convert_tokens_to_ids(None) is None


def test_spaces_around_added_tokens(fresh: Any) -> None:
    fresh.add_tokens(["<a>"])
    ids = fresh.encode("the<a>the", add_special_tokens=False)
    together = fresh.decode(ids, spaces_between_special_tokens=False, use_source_tokenizer=False)
    assert (fresh.decode(ids), together) == ("the <a> the", "the <a> the" if fresh.is_fast else "the<a>the")


def test_batch_decoding(fresh: Any) -> None:
    encoded = fresh(["a b", "c"], padding=True, return_tensors="np")
    assert fresh.batch_decode(encoded["input_ids"], skip_special_tokens=True) == ["a b", "c"]
    assert fresh.batch_decode([[5], [6, 7]]) == [fresh.decode([5]), fresh.decode([6, 7])]
    assert fresh.batch_decode([]) == []


def test_both_classes_add_alike() -> None:
    slow, fast = (cls(SMALL) for cls in CLASSES)
    for one in (slow, fast):
        for index in range(30):
            one.add_tokens([f"<{index}>", AddedToken(f"w{index}", single_word=True)])
    text = " ".join(f"w{index}x w{index} <{index}>" for index in range(30))
    assert slow(text) == fast(text)
    assert slow.get_vocab() == fast.get_vocab()
    assert tokenizer(CLASSES[0]).get_added_vocab() == tokenizer(CLASSES[1]).get_added_vocab()
