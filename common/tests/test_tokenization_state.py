"""The state of a tokenizer after a change, value for value that of transformers 4.57.6's fast class."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizer_cases import CLASSES, SMALL

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization import (
    AddedToken,
    BasicTokenizer,
    DistilBertTokenizer,
    DistilBertTokenizerFast,
    WordpieceTokenizer,
)
from distilbert_common.tokenization.vocabulary import FLAGS

each_class = pytest.mark.parametrize("cls", CLASSES)


def test_roles_that_distilbert_has_no_token_for(fresh: Any) -> None:
    assert (fresh.bos_token, fresh.bos_token_id, fresh.eos_token, fresh.eos_token_id) == (None, None, None, None)
    assert fresh.add_special_tokens({"bos_token": "<s>", "eos_token": "[SEP]"}) == 1
    assert (fresh.bos_token_id, fresh.eos_token_id) == (353, 3)
    assert fresh.all_special_tokens == ["<s>", "[SEP]", "[UNK]", "[PAD]", "[CLS]", "[MASK]"]
    assert list(fresh.special_tokens_map)[:2] == ["bos_token", "eos_token"]
    fresh.bos_token = fresh.cls_token
    assert fresh.bos_token_id == 2


def test_setting_an_id_moves_the_token(fresh: Any, tmp_path: Path) -> None:
    fresh.pad_token_id = 5
    assert (fresh.pad_token, fresh.pad_token_id) == ("!", 5)
    assert fresh(["a", "a b"], padding=True)["input_ids"][0][-1] == 5
    fresh.additional_special_tokens = ["hello"]
    fresh.additional_special_tokens_ids = [178]
    assert (fresh.additional_special_tokens, fresh.additional_special_tokens_ids) == (["film"], [178])
    fresh.save_pretrained(tmp_path)
    assert type(fresh).from_pretrained(tmp_path).special_tokens_map == fresh.special_tokens_map
    with pytest.raises(TokenizerError, match="900 is not an id of this vocabulary, 0 to 352"):
        fresh.pad_token_id = 900


def test_taking_a_role_away(fresh: Any, tmp_path: Path) -> None:
    fresh.mask_token = None
    fresh.pad_token_id = None
    assert (fresh.mask_token, fresh.mask_token_id, fresh.pad_token, len(fresh)) == (None, None, None, 353)
    assert fresh.encode("a") == [2, 43, 3]
    with pytest.raises(TokenizerError, match=r"pad_token is None.*add_special_tokens\({'pad_token': '\[PAD\]'}\)"):
        fresh(["a", "a b"], padding=True)
    fresh.save_pretrained(tmp_path)
    assert type(fresh).from_pretrained(tmp_path).special_tokens_map == fresh.special_tokens_map
    fresh.unk_token = None
    fresh.save_pretrained(tmp_path)
    for each in (fresh, type(fresh).from_pretrained(tmp_path)):
        assert (each.unk_token, each.unk_token_id, each.tokenize("\U0001f600 the")) == (None, None, ["[UNK]", "the"])
    fresh.unk_token_id = 178
    assert fresh.tokenize("\U0001f600 the") == ["film", "the"]


@each_class
def test_tokens_as_keywords(cls: type, caplog: Any) -> None:
    one = cls(SMALL, pad_token="<pad>", additional_special_tokens=["<x>"], bos_token="<s>", mask_token=None)
    assert one.convert_tokens_to_ids(["<s>", "<pad>", "<x>"]) == [353, 354, 355]
    assert (one.pad_token_id, one.mask_token, len(one)) == (354, None, 356)
    assert "<s>, <pad>, <x> are not in the vocabulary and got the ids from 353 on" in caplog.text
    assert cls(SMALL, extra_special_tokens=["<x>"]).additional_special_tokens == ["<x>"]
    mask = cls(SMALL, mask_token=tokenizers.AddedToken("[MASK]", lstrip=True))
    assert mask.added_tokens_decoder[4] == AddedToken("[MASK]", lstrip=True, special=True)
    assert mask("a  [MASK]", return_offsets_mapping=True)["offset_mapping"][2] == (1, 9)


def test_tokens_are_added_in_the_order_given(fresh: Any) -> None:
    assert fresh.add_special_tokens({"additional_special_tokens": ["<a>"], "bos_token": "<s>"}) == 2
    assert fresh.convert_tokens_to_ids(["<a>", "<s>"]) == [353, 354]
    assert fresh.add_special_tokens({"additional_special_tokens": []}) == 0
    assert fresh.additional_special_tokens == ["<a>"]
    assert fresh.add_special_tokens({"extra_special_tokens": ["<b>"]}, replace_additional_special_tokens=False) == 1
    assert fresh.additional_special_tokens == ["<a>", "<b>"]
    assert fresh.sanitize_special_tokens() == 0


def test_words_that_differ_by_case_or_accent(fresh: Any, tmp_path: Path) -> None:
    assert fresh.add_tokens(["Same", "same", "SAME", "é"]) == 4
    assert fresh.add_tokens(["w", "E\u0301x", "ex"]) == 3
    assert fresh.get_added_vocab()["ex"] == len(fresh) - 1 == 358
    fresh.save_pretrained(tmp_path)
    w = fresh.convert_tokens_to_ids("w")  # a piece
    for each in (fresh, type(fresh).from_pretrained(tmp_path), copy.deepcopy(fresh)):
        assert each.encode("same SAME Same e ex w", add_special_tokens=False) == [353, 353, 353, 356, 357, w]
    assert fresh.add_tokens(AddedToken("SAME", normalized=False)) == 1
    assert fresh.encode("same SAME", add_special_tokens=False) == [353, 355]


@pytest.mark.parametrize(
    ("token", "special", "expected"),
    [
        ("<q>", False, AddedToken("<q>", normalized=True)),
        ("<q>", True, AddedToken("<q>", normalized=False, special=True)),
        (AddedToken("<q>"), True, AddedToken("<q>", normalized=False, special=True)),
        (AddedToken("<q>", normalized=True), True, AddedToken("<q>", normalized=True, special=True)),
        (AddedToken("<q>", special=True), False, AddedToken("<q>", normalized=False, special=True)),
        (tokenizers.AddedToken("<q>", lstrip=True), True, AddedToken("<q>", lstrip=True, special=True)),
        (tokenizers.AddedToken("<q>", normalized=True), True, AddedToken("<q>", normalized=True, special=True)),
        (tokenizers.AddedToken("<q>", normalized=False), False, AddedToken("<q>", normalized=False)),
    ],
)
def test_flags_of_added_tokens(fresh: Any, token: Any, special: bool, expected: AddedToken) -> None:
    assert fresh.add_tokens([token], special_tokens=special) == 1
    assert fresh.added_tokens_decoder[353] == expected
    assert str(expected) == "<q>"
    theirs = tokenizers.AddedToken("<q>", **{name: getattr(expected, name) for name in FLAGS})
    assert fresh.added_tokens_decoder[353] == theirs
    assert expected != tokenizers.AddedToken("<q>", single_word=True)
    assert len({expected, fresh.added_tokens_decoder[353]}) == 1


@each_class
def test_without_basic_tokenization(cls: type, tmp_path: Path) -> None:
    one = cls(SMALL, do_basic_tokenize=False)
    assert one.tokenize("Hello hello, film  the") == ["[UNK]", "[UNK]", "film", "the"]
    one.save_pretrained(tmp_path)
    assert cls.from_pretrained(tmp_path).tokenize("Hello hello, film") == ["[UNK]", "[UNK]", "film"]
    (tmp_path / "tokenizer.json").unlink()
    assert cls.from_pretrained(tmp_path).tokenize("Hello hello, film") == ["[UNK]", "[UNK]", "film"]


@each_class
def test_words_that_are_never_split(cls: type, tmp_path: Path) -> None:
    one = cls(SMALL, never_split=["##ing", "film,", "Hello"])
    one.save_pretrained(tmp_path)
    for each in (one, cls.from_pretrained(tmp_path)):
        assert each.tokenize("a ##ing film, film,a Hello") == ["a", "##ing", "[UNK]", "film", ",", "a", "hello"]
        encoded = each("a  ##ing walking", return_offsets_mapping=True)
        assert encoded["offset_mapping"][1:-1] == [(0, 1), (3, 8), (9, 13), (13, 16)]
        assert encoded.word_ids()[1:-1] == [0, 1, 2, 2]
        assert each(["walking", "##ing", "a"], is_split_into_words=True).word_ids()[1:-1] == [0, 0, 1, 2]


def test_views_of_the_state(fresh: Any, tmp_path: Path) -> None:
    fresh.add_tokens(["<ent>"])
    fresh.name_or_path = "here"
    assert fresh.added_tokens_encoder == fresh.get_added_vocab() == {**fresh.added_tokens_encoder, "<ent>": 353}
    assert fresh.ids_to_tokens[178] == "film"
    assert 353 not in fresh.ids_to_tokens
    assert (
        fresh.special_tokens_map_extended["mask_token"]
        == fresh.all_special_tokens_extended[-1]
        == fresh.added_tokens_decoder[4]
    )
    assert (fresh.pad_token_type_id, fresh.name_or_path, fresh.vocab_files_names["vocab_file"]) == (
        0,
        "here",
        "vocab.txt",
    )
    assert {"do_lower_case": True, "model_max_length": 512, "pad_token": "[PAD]"}.items() <= fresh.init_kwargs.items()
    assert "additional_special_tokens" in fresh.SPECIAL_TOKENS_ATTRIBUTES
    assert type(fresh).SPECIAL_TOKENS_ATTRIBUTES[:2] == ["bos_token", "eos_token"]
    assert type(fresh)(SMALL, verbose=True).verbose is not fresh.verbose
    (path,) = fresh.save_vocabulary(tmp_path, filename_prefix="my")
    assert Path(path).name == "my-vocab.txt"
    assert Path(path).read_bytes() == SMALL.read_bytes()
    with pytest.raises(AttributeError, match="has no attribute 'dot_token'"):
        _ = fresh.dot_token


def test_the_library_underneath() -> None:
    fast = DistilBertTokenizerFast(SMALL)
    fast.add_tokens(["<ent>"])
    assert fast.backend_tokenizer.encode("the <ent>", "film").ids == fast.encode("the <ent>", "film")
    assert fast.backend_tokenizer.decode([240, 309]) == "walking"
    assert fast.slow_tokenizer_class is DistilBertTokenizer
    assert fast.can_save_slow_tokenizer
    fast.sep_token = "!"
    assert fast.backend_tokenizer.encode("the").ids == fast.encode("the") == [2, 129, 5]


@pytest.mark.parametrize(
    ("legacy_format", "expected"),
    [(None, {"my-vocab.txt", "my-tokenizer.json"}), (True, {"my-vocab.txt"}), (False, {"my-tokenizer.json"})],
)
def test_which_files_are_saved(fresh: Any, legacy_format: Any, expected: set[str], tmp_path: Path) -> None:
    paths = fresh.save_pretrained(tmp_path, legacy_format=legacy_format, filename_prefix="my", save_jinja_files=True)
    assert {Path(path).name for path in paths} == expected | {"my-tokenizer_config.json", "my-special_tokens_map.json"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'filenameprefix'"):
        fresh.save_pretrained(tmp_path, filenameprefix="x")


def test_training_anew(fresh: Any) -> None:
    fresh.add_special_tokens({"additional_special_tokens": ["<sp>"]})
    texts = [["hello world", "the film"], ["the world"]] * 9
    new = fresh.train_new_from_iterator(
        texts, 60, new_special_tokens=["<n>"], special_tokens_map={"[CLS]": "<cls>"}, show_progress=False
    )
    assert type(new) is type(fresh)
    assert new.all_special_tokens == ["[UNK]", "[SEP]", "[PAD]", "<cls>", "[MASK]", "<sp>", "<n>"]
    assert new.convert_ids_to_tokens(new.encode("The film <n>")) == ["<cls>", "the", "film", "<n>", "[SEP]"]
    assert new.vocab_size == len(new) <= 60


@each_class
def test_options_by_position(cls: type) -> None:
    assert DistilBertTokenizer(SMALL, False).do_lower_case is False
    assert DistilBertTokenizerFast(SMALL, None, False).do_lower_case is False
    with pytest.raises(TypeError, match="20 arguments were given by position"):
        cls(*[None] * 20)


@each_class
def test_copies_are_equal_and_independent(cls: type, tmp_path: Path) -> None:
    one = cls(SMALL, extra_special_tokens={"image_token": "<image>"}, never_split=["##ing"])
    for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert other("a <image> ##ing") == one("a <image> ##ing")
        other.add_tokens(["<x>"])
        other.pad_token = "!"
        assert (len(one), one.pad_token, other.image_token_id) == (354, "[PAD]", 353)
        assert json.dumps(other.init_kwargs)


def test_the_steps_of_the_slow_class() -> None:
    slow = DistilBertTokenizer(SMALL)
    slow.add_tokens(["<ent>"])
    words = slow.basic_tokenizer.tokenize("The Walking film, <ent>")
    assert words == ["the", "walking", "film", ",", "<", "ent", ">"]
    assert slow.wordpiece_tokenizer.tokenize(" ".join(words[:2]) + " \U0001f600") == ["the", "walk", "##ing", "[UNK]"]
    assert slow.basic_tokenizer.do_lower_case is True


def test_the_steps_without_a_tokenizer() -> None:
    text = "\x05Caf\u00e9s, don't \u7684\u4eba <Ent>"
    assert " ".join(BasicTokenizer().tokenize(text)) == "cafes , don ' t \u7684 \u4eba < ent >"
    cased = BasicTokenizer(False, ["<Ent>"], False, strip_accents=True, do_split_on_punc=False)
    assert cased.tokenize(text) == ["Cafes,", "don't", "\u7684\u4eba", "<Ent>"]
    assert cased.tokenize("\u00e9t\u00e9 \u00e9l\u00e8ve", never_split=["\u00e9t\u00e9"]) == ["\u00e9t\u00e9", "eleve"]
    steps = WordpieceTokenizer({"walk": 0, "##ing": 1}, "?", 8)
    assert steps.tokenize("walking walked walkingwalking") == ["walk", "##ing", "?", "?"]
    assert WordpieceTokenizer({}, "?").tokenize(" walk ") == ["?"]


def test_lower_casing_set_later(fresh: Any, tmp_path: Path) -> None:
    fresh.add_tokens(["New"])
    fresh.do_lower_case = False
    fresh.save_pretrained(tmp_path)
    for each in (fresh, type(fresh).from_pretrained(tmp_path)):
        assert each.tokenize("The film New new") == ["[UNK]", "film", "New", *each.tokenize("new")]
    fresh.do_lower_case = True
    assert fresh.tokenize("The new") == ["the", "New"]
    fresh.chat_template = "{{ x }}"
    assert (fresh.chat_template, fresh.init_inputs, fresh.pretrained_vocab_files_map) == ("{{ x }}", (), {})


@each_class
def test_a_base_class_of_another_package_beside_ours(cls: type, tmp_path: Path) -> None:
    class Base:
        """Keeps special tokens in a place of its own, as the base class of transformers' tokenizers does."""

        def __setattr__(self, name: str, value: Any) -> None:
            raise AssertionError(name)

    both = type("Both", (cls, Base), {})(SMALL)
    both.pad_token = "!"
    assert isinstance(both, Base)
    assert (both.pad_token_id, both.encode("the film")) == (5, [2, 129, 178, 3])


def test_what_decoding_skips(fresh: Any, tmp_path: Path) -> None:
    fresh.pad_token = "film"
    fresh.add_tokens(["[MASK]"])  # no longer special by itself, but its role is
    ids = fresh.encode("the film [MASK] good")
    assert fresh.decode(ids, skip_special_tokens=True) == ("the film good" if fresh.is_fast else "the good")
    assert fresh.convert_ids_to_tokens(ids, skip_special_tokens=True) == ["the", "good"]
    fresh.save_pretrained(tmp_path)
    assert type(fresh).from_pretrained(tmp_path).added_tokens_decoder[4].special


def test_a_token_that_is_listed_is_left_as_it_is(fresh: Any) -> None:
    fresh.additional_special_tokens = ["film"]
    added = fresh.add_special_tokens(
        {"additional_special_tokens": ["film", "<a>"]}, replace_additional_special_tokens=False
    )
    assert (added, fresh.additional_special_tokens, "film" in fresh.get_added_vocab()) == (1, ["film", "<a>"], False)
