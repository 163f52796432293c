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
from distilbert_common.tokenization import AddedToken, DistilBertTokenizer, DistilBertTokenizerFast
from distilbert_common.tokenization.vocabulary import FLAGS

each_class = pytest.mark.parametrize("cls", CLASSES)


@pytest.fixture(params=CLASSES, ids=lambda cls: cls.__name__)
def one(request: pytest.FixtureRequest) -> Any:
    return request.param(SMALL)


def test_roles_that_distilbert_has_no_token_for(one: Any) -> None:
    assert (one.bos_token, one.bos_token_id, one.eos_token, one.eos_token_id) == (None, None, None, None)
    assert one.add_special_tokens({"bos_token": "<s>", "eos_token": "[SEP]"}) == 1
    assert (one.bos_token_id, one.eos_token_id) == (353, 3)
    assert one.all_special_tokens == ["<s>", "[SEP]", "[UNK]", "[PAD]", "[CLS]", "[MASK]"]
    assert list(one.special_tokens_map)[:2] == ["bos_token", "eos_token"]
    one.bos_token = one.cls_token
    assert one.bos_token_id == 2


def test_setting_an_id_moves_the_token(one: Any, tmp_path: Path) -> None:
    one.pad_token_id = 5
    assert (one.pad_token, one.pad_token_id) == ("!", 5)
    assert one(["a", "a b"], padding=True)["input_ids"][0][-1] == 5
    one.additional_special_tokens = ["hello"]
    one.additional_special_tokens_ids = [178]
    assert (one.additional_special_tokens, one.additional_special_tokens_ids) == (["film"], [178])
    one.save_pretrained(tmp_path)
    assert type(one).from_pretrained(tmp_path).special_tokens_map == one.special_tokens_map
    with pytest.raises(TokenizerError, match="900 is not an id of this vocabulary, 0 to 352"):
        one.pad_token_id = 900


def test_taking_a_role_away(one: Any, tmp_path: Path) -> None:
    one.mask_token = None
    one.pad_token_id = None
    assert (one.mask_token, one.mask_token_id, one.pad_token, len(one)) == (None, None, None, 353)
    assert one.encode("a") == [2, 43, 3]
    with pytest.raises(TokenizerError, match=r"pad_token is None.*add_special_tokens\({'pad_token': '\[PAD\]'}\)"):
        one(["a", "a b"], padding=True)
    one.save_pretrained(tmp_path)
    assert type(one).from_pretrained(tmp_path).special_tokens_map == one.special_tokens_map
    one.unk_token = None
    one.save_pretrained(tmp_path)
    for each in (one, type(one).from_pretrained(tmp_path)):
        assert (each.unk_token, each.unk_token_id, each.tokenize("\U0001f600 the")) == (None, None, ["[UNK]", "the"])
    one.unk_token_id = 178
    assert one.tokenize("\U0001f600 the") == ["film", "the"]


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


def test_tokens_are_added_in_the_order_given(one: Any) -> None:
    assert one.add_special_tokens({"additional_special_tokens": ["<a>"], "bos_token": "<s>"}) == 2
    assert one.convert_tokens_to_ids(["<a>", "<s>"]) == [353, 354]
    assert one.add_special_tokens({"additional_special_tokens": []}) == 0
    assert one.additional_special_tokens == ["<a>"]
    assert one.add_special_tokens({"extra_special_tokens": ["<b>"]}, replace_additional_special_tokens=False) == 1
    assert one.additional_special_tokens == ["<a>", "<b>"]
    assert one.sanitize_special_tokens() == 0


def test_words_that_differ_by_case_or_accent(one: Any, tmp_path: Path) -> None:
    assert one.add_tokens(["Same", "same", "SAME", "é"]) == 4
    assert one.add_tokens(["w", "E\u0301x", "ex"]) == 3
    assert one.get_added_vocab()["ex"] == len(one) - 1 == 358
    one.save_pretrained(tmp_path)
    w = one.convert_tokens_to_ids("w")  # a piece
    for each in (one, type(one).from_pretrained(tmp_path), copy.deepcopy(one)):
        assert each.encode("same SAME Same e ex w", add_special_tokens=False) == [353, 353, 353, 356, 357, w]
    assert one.add_tokens(AddedToken("SAME", normalized=False)) == 1
    assert one.encode("same SAME", add_special_tokens=False) == [353, 355]


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
def test_flags_of_added_tokens(one: Any, token: Any, special: bool, expected: AddedToken) -> None:
    assert one.add_tokens([token], special_tokens=special) == 1
    assert one.added_tokens_decoder[353] == expected
    assert str(expected) == "<q>"
    theirs = tokenizers.AddedToken("<q>", **{name: getattr(expected, name) for name in FLAGS})
    assert one.added_tokens_decoder[353] == theirs
    assert expected != tokenizers.AddedToken("<q>", single_word=True)
    assert len({expected, one.added_tokens_decoder[353]}) == 1


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


def test_views_of_the_state(one: Any, tmp_path: Path) -> None:
    one.add_tokens(["<ent>"])
    one.name_or_path = "here"
    assert one.added_tokens_encoder == one.get_added_vocab() == {**one.added_tokens_encoder, "<ent>": 353}
    assert one.ids_to_tokens[178] == "film"
    assert 353 not in one.ids_to_tokens
    assert (
        one.special_tokens_map_extended["mask_token"]
        == one.all_special_tokens_extended[-1]
        == one.added_tokens_decoder[4]
    )
    assert (one.pad_token_type_id, one.name_or_path, one.vocab_files_names["vocab_file"]) == (0, "here", "vocab.txt")
    assert {"do_lower_case": True, "model_max_length": 512, "pad_token": "[PAD]"}.items() <= one.init_kwargs.items()
    assert "additional_special_tokens" in one.SPECIAL_TOKENS_ATTRIBUTES
    assert type(one).SPECIAL_TOKENS_ATTRIBUTES[:2] == ["bos_token", "eos_token"]
    assert type(one)(SMALL, verbose=True).verbose is not one.verbose
    (path,) = one.save_vocabulary(tmp_path, filename_prefix="my")
    assert Path(path).name == "my-vocab.txt"
    assert Path(path).read_bytes() == SMALL.read_bytes()
    with pytest.raises(AttributeError, match="has no attribute 'dot_token'"):
        _ = one.dot_token


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
def test_which_files_are_saved(one: Any, legacy_format: Any, expected: set[str], tmp_path: Path) -> None:
    paths = one.save_pretrained(tmp_path, legacy_format=legacy_format, filename_prefix="my", save_jinja_files=True)
    assert {Path(path).name for path in paths} == expected | {"my-tokenizer_config.json", "my-special_tokens_map.json"}
    with pytest.raises(TypeError, match="unexpected keyword argument 'filenameprefix'"):
        one.save_pretrained(tmp_path, filenameprefix="x")


def test_training_anew(one: Any) -> None:
    one.add_special_tokens({"additional_special_tokens": ["<sp>"]})
    texts = [["hello world", "the film"], ["the world"]] * 9
    new = one.train_new_from_iterator(
        texts, 60, new_special_tokens=["<n>"], special_tokens_map={"[CLS]": "<cls>"}, show_progress=False
    )
    assert type(new) is type(one)
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


def test_lower_casing_set_later(one: Any, tmp_path: Path) -> None:
    one.add_tokens(["New"])
    one.do_lower_case = False
    one.save_pretrained(tmp_path)
    for each in (one, type(one).from_pretrained(tmp_path)):
        assert each.tokenize("The film New new") == ["[UNK]", "film", "New", *each.tokenize("new")]
    one.do_lower_case = True
    assert one.tokenize("The new") == ["the", "New"]
    one.chat_template = "{{ x }}"
    assert (one.chat_template, one.init_inputs, one.pretrained_vocab_files_map) == ("{{ x }}", (), {})


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


def test_what_decoding_skips(one: Any, tmp_path: Path) -> None:
    one.pad_token = "film"
    one.add_tokens(["[MASK]"])  # no longer special by itself, but its role is
    ids = one.encode("the film [MASK] good")
    assert one.decode(ids, skip_special_tokens=True) == ("the film good" if one.is_fast else "the good")
    assert one.convert_ids_to_tokens(ids, skip_special_tokens=True) == ["the", "good"]
    one.save_pretrained(tmp_path)
    assert type(one).from_pretrained(tmp_path).added_tokens_decoder[4].special


def test_a_token_that_is_listed_is_left_as_it_is(one: Any) -> None:
    one.additional_special_tokens = ["film"]
    added = one.add_special_tokens(
        {"additional_special_tokens": ["film", "<a>"]}, replace_additional_special_tokens=False
    )
    assert (added, one.additional_special_tokens, "film" in one.get_added_vocab()) == (1, ["film", "<a>"], False)
