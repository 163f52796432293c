"""tokenizer_config.json and the files beside it, as transformers 4.0 to 5.24 wrote them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tokenizer_cases import CLASSES, DATA, SMALL, read_vocab, write_files

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization import AddedToken

GOLDEN = json.loads((DATA / "saved_by_transformers.json").read_text(encoding="utf-8"))
"""Tokenizers on the small vocabulary that transformers 4.57.6 and 5.24.0 saved, and ran with the fast class."""

TEXTS = ["the film <ent> is <sp> good", "walking <image>, [MASK] new-word!  <strip>  the", "a [SEP] New-Word the"]

each_class = pytest.mark.parametrize("cls", CLASSES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(SMALL, tmp_path / "vocab.txt")
    return tmp_path


@each_class
@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['name']} of {case['writer']}")
def test_what_transformers_saved(cls: type, case: dict[str, Any], tmp_path: Path) -> None:
    files = dict(case["files"])
    if "tokenizer.json" in files:
        model = {**files["tokenizer.json"]["model"], "vocab": read_vocab(SMALL)}
        files["tokenizer.json"] = {**files["tokenizer.json"], "model": model}
    if files.pop("vocab.txt", 0) is None:
        shutil.copy(SMALL, tmp_path / "vocab.txt")
    write_files(tmp_path, files)
    one = cls.from_pretrained(tmp_path)
    again = cls.from_pretrained(Path(one.save_pretrained(tmp_path / "again")[0]).parent)
    for each in (one, again):
        assert [each.encode(text) for text in TEXTS] == case["ids"]
        assert each([TEXTS[0], "a"], padding=True)["input_ids"] == case["padded"]
        assert each.all_special_ids == case["all_special_ids"]
        assert each.all_special_tokens == case["all_special_tokens"]
        assert len(each) == case["length"]
        assert case["special_tokens_map"].items() <= each.special_tokens_map.items()


@each_class
@pytest.mark.parametrize(
    "config",
    [
        {"extra_special_tokens": ["<a>", "<b>"]},
        {"additional_special_tokens": ["<a>", {"content": "<b>", "lstrip": False}]},
        {"additional_special_tokens": ["<a>"], "extra_special_tokens": ["<b>"]},
    ],
)
def test_tokens_without_a_role_are_special(cls: type, config: dict[str, Any], folder: Path) -> None:
    write_files(folder, {"tokenizer_config.json": config})
    one = cls.from_pretrained(folder)
    assert one.additional_special_tokens == one.extra_special_tokens == ["<a>", "<b>"]
    ids = one.encode("the <a> film <b>")
    assert one.get_special_tokens_mask(ids, already_has_special_tokens=True) == [1, 0, 1, 0, 1, 1]
    one.save_pretrained(folder / "saved")
    assert cls.from_pretrained(folder / "saved").all_special_ids == one.all_special_ids == [1, 3, 0, 2, 4, 353, 354]


@each_class
@pytest.mark.parametrize(
    "config",
    [
        {"extra_special_tokens": {"image_token": "<image>"}, "image_token": "<image>"},
        {"model_specific_special_tokens": {"image_token": "<image>"}},
        {"image_token": {"__type": "AddedToken", "content": "<image>", "special": True}},
    ],
)
def test_tokens_with_a_name_of_their_own(cls: type, config: dict[str, Any], folder: Path) -> None:
    write_files(folder, {"tokenizer_config.json": config})
    cls.from_pretrained(folder).save_pretrained(folder / "saved")
    for one in (cls.from_pretrained(folder), cls.from_pretrained(folder / "saved")):
        assert (one.image_token, one.image_token_id) == ("<image>", 353)
        assert one.special_tokens_map["image_token"] == "<image>"
        assert one.extra_special_tokens == {"image_token": "<image>"}
        assert one.decode(one.encode("the <image> film"), skip_special_tokens=True) == "the film"


@each_class
def test_a_role_among_the_named_tokens(cls: type) -> None:
    one = cls(SMALL, extra_special_tokens={"pad_token": "<pad>", "image_token": "<image>"})
    assert (one.pad_token_id, one.image_token_id) == (353, 354)


@each_class
def test_flags_in_the_special_tokens_map_of_old_versions(cls: type, folder: Path) -> None:
    mask = {"content": "[MASK]", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False}
    in_map = {"mask_token": mask, "cls_token": "the", "bos_token": None}
    files = {"special_tokens_map.json": in_map, "tokenizer_config.json": {"cls_token": "film", "mask_token": "[MASK]"}}
    write_files(folder, files)
    one = cls.from_pretrained(folder)
    assert one.added_tokens_decoder[4] == AddedToken("[MASK]", lstrip=True, special=True)
    assert one.cls_token == "the"  # as that file comes last there
    write_files(folder, {"tokenizer_config.json": {"cls_token": "film", "added_tokens_decoder": {"4": mask}}})
    assert cls.from_pretrained(folder).cls_token == "film"  # since 4.34 it counts no longer


@each_class
def test_added_tokens_json_counts_no_longer_beside_the_newer_field(cls: type, folder: Path) -> None:
    decoder = {"353": {"content": "<new>", "special": False}}
    write_files(
        folder, {"tokenizer_config.json": {"added_tokens_decoder": decoder}, "added_tokens.json": {"<old>": 353}}
    )
    one = cls.from_pretrained(folder)
    assert one.get_added_vocab()["<new>"] == 353
    assert "<old>" not in one.get_vocab()


@each_class
def test_files_of_an_earlier_tokenizer_are_gone(cls: type, tmp_path: Path) -> None:
    one = cls(SMALL)
    one.add_tokens(["<ent>"])
    one.save_pretrained(tmp_path)
    assert (tmp_path / "added_tokens.json").is_file()
    cls(SMALL).save_pretrained(tmp_path, legacy_format=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "special_tokens_map.json", "tokenizer_config.json", "vocab.txt",
    ]  # fmt: skip
    assert len(cls.from_pretrained(tmp_path)) == 353


@each_class
def test_fields_without_a_meaning_are_written_back(cls: type, folder: Path, caplog: Any) -> None:
    carried = {
        "chat_template": "{{ x }}",
        "processor_class": "P",
        "auto_map": {"AutoTokenizer": ["a.B", None]},
        "new": [1],
    }
    lost = {
        "name_or_path": "/home/x", "tokenizer_file": "/home/x/t", "special_tokens_map_file": "/home/x/s",
        "is_local": True, "local_files_only": False, "backend": "tokenizers", "init_inputs": [],
        "use_auth_token": "hf_" + "x" * 34, "hub_token": "secret",
        "use_fast": True, "trust_remote_code": True, "device_map": "auto",
    }  # fmt: skip
    write_files(folder, {"tokenizer_config.json": {**carried, **lost, "max_len": 77}})
    one = cls.from_pretrained(folder)
    assert one.model_max_length == 77
    assert "tokenizer_config.json has a secret under hub_token, use_auth_token, which is not kept" in caplog.text
    one.save_pretrained(folder / "saved")
    saved = json.loads((folder / "saved" / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert carried.items() <= saved.items()
    assert not lost.keys() & saved.keys()
    assert "hf_x" not in repr(one) + str(one.init_kwargs)
    assert "secret" not in repr(one) + str(one.init_kwargs) + str(one.get_vocab())


@each_class
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"tokenizer_class": "BertJapaneseTokenizer"}, "declares tokenizer_class 'BertJapaneseTokenizer'"),
        ({"tokenizer_class": "RoFormerTokenizerFast"}, "declares tokenizer_class 'RoFormerTokenizerFast'"),
        ({"word_tokenizer_type": "mecab"}, "declares word_tokenizer_type 'mecab'"),
        ({"word_tokenizer_type": "basic", "subword_tokenizer_type": "character"}, "subword_tokenizer_type 'character'"),
        ({"mecab_kwargs": {"mecab_dic": "unidic"}}, "declares mecab_kwargs"),
    ],
)
def test_another_tokenizer_is_refused(cls: type, config: dict[str, Any], message: str, folder: Path) -> None:
    write_files(folder, {"tokenizer_config.json": config})
    with pytest.raises(TokenizerError, match=rf"{message}.*or pass tokenizer_class='DistilBertTokenizer'"):
        cls.from_pretrained(folder)
    assert cls.from_pretrained(folder, tokenizer_class="DistilBertTokenizer").tokenize("the film") == ["the", "film"]


@each_class
@pytest.mark.parametrize("name", ["BertTokenizer", "ElectraTokenizerFast", "PreTrainedTokenizerFast", None])
def test_the_same_under_another_name_is_not(cls: type, name: str, folder: Path, caplog: Any) -> None:
    write_files(folder, {"tokenizer_config.json": {"tokenizer_class": name}, "config.json": {"model_type": "bert"}})
    cls.from_pretrained(folder)
    assert not caplog.records


@each_class
def test_a_class_that_nobody_knows_is_said_aloud(cls: type, folder: Path, caplog: Any) -> None:
    write_files(folder, {"config.json": {"tokenizer_class": "OurOwnTokenizer"}})
    cls.from_pretrained(folder)
    assert "names the tokenizer_class 'OurOwnTokenizer', which is not known here" in caplog.text
    caplog.clear()
    cls.from_pretrained(folder, tokenizer_class="DistilBertTokenizer")
    assert not caplog.records


@each_class
def test_loading_options_have_no_effect(cls: type, folder: Path, recwarn: Any) -> None:
    secret = "hf_" + "s" * 34
    one = cls.from_pretrained(
        pretrained_model_name_or_path=folder, use_fast=False, use_auth_token=secret, force_download=False, proxies=None,
        cache_dir=None, revision="main", subfolder="", config=None, trust_remote_code=False, _commit_hash=None,
    )  # fmt: skip
    assert not recwarn.list
    cls.from_pretrained(folder, trust_remote_code=True, api_key=secret)
    assert "trust_remote_code" in str(recwarn.list[0].message)
    assert one.name_or_path == str(folder)
    one.save_pretrained(folder / "saved", is_main_process=True, safe_serialization=True, use_auth_token=secret)
    said = "".join(str(warning.message) for warning in recwarn.list) + repr(one) + str(one.init_kwargs)
    assert secret not in said + "".join(path.read_text(encoding="utf-8") for path in (folder / "saved").iterdir())
    assert one.save_pretrained(folder / "none", is_main_process=False) == ()
    assert not (folder / "none").exists()


@each_class
def test_options_of_a_call_are_taken_and_have_no_effect(cls: type, folder: Path) -> None:
    options = {
        "padding": True, "truncation": True, "max_length": 5, "return_tensors": "pt", "return_token_type_ids": True,
        "return_attention_mask": True, "is_split_into_words": True, "stride": 2,
    }  # fmt: skip
    one, plain = cls.from_pretrained(folder, **options), cls.from_pretrained(folder)
    assert one(["a b", "a"]) == plain(["a b", "a"])
    with pytest.raises(TypeError, match="has no option lowercase"):
        cls.from_pretrained(folder, lowercase=True)
    with pytest.raises(TypeError, match="has no option add_special_tokens"):  # transformers opens no file with it
        cls.from_pretrained(folder, add_special_tokens=False)
    config = folder / "tokenizer_config.json"
    config.write_text(json.dumps({"add_special_tokens": False}))
    cls.from_pretrained(folder).save_pretrained(folder)
    assert "add_special_tokens" not in json.loads(config.read_text())


@each_class
def test_absent_files_are_caught_as_programs_do(cls: type, tmp_path: Path) -> None:
    for load in (
        cls.from_pretrained,
        lambda path: cls(path / "vocab.txt"),
        lambda path: cls.from_pretrained(path / "no"),
    ):
        with pytest.raises(OSError, match=tmp_path.name):
            load(tmp_path)


@each_class
@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "config.json"])
def test_a_pointer_of_git_lfs_is_no_file(cls: type, name: str, folder: Path) -> None:
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", encoding="utf-8")
    with pytest.raises(TokenizerError, match=rf"{name} is only a pointer .* git lfs pull"):
        cls.from_pretrained(folder)
