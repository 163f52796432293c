from __future__ import annotations

import json
import logging
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizer_cases import CLASSES, SMALL, golden

from distilbert_common.errors import CheckpointError, TokenizerError
from distilbert_common.tokenization import AddedToken, DistilBertTokenizer, DistilBertTokenizerFast

TEXTS = [case["text"] for case in golden("single")[:30]] + ["a <ent> b<word> NEW <strip>  tok"]

each_class = pytest.mark.parametrize("cls", CLASSES)


def write_json(path: Path, **content: Any) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def edit_json(path: Path, **changes: Any) -> None:
    write_json(path, **{**json.loads(path.read_text(encoding="utf-8")), **changes})


def assert_same(one: Any, other: Any) -> None:
    first, second = (each(TEXTS, return_offsets_mapping=True) for each in (one, other))
    assert first == second
    for name in ("model_max_length", "padding_side", "truncation_side", "special_tokens_map", "added_tokens_decoder"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.get_vocab() == other.get_vocab()
    assert one.settings.normalizer == other.settings.normalizer


@pytest.fixture
def vocab_only(tmp_path: Path) -> Path:
    shutil.copy(SMALL, tmp_path / "vocab.txt")
    return tmp_path


@pytest.fixture(params=CLASSES, ids=lambda cls: cls.__name__)
def changed(request: pytest.FixtureRequest) -> Any:
    """A tokenizer in which nothing is as usual."""
    one = request.param(
        SMALL, do_lower_case=True, strip_accents=False, tokenize_chinese_chars=False, padding_side="left",
        truncation_side="left", model_max_length=99,
    )  # fmt: skip
    flags = [AddedToken("<word>", single_word=True), AddedToken("<strip>", lstrip=True, rstrip=True), "New tok"]
    assert one.add_tokens(["<ent>", *flags]) == 4
    assert one.add_special_tokens({"additional_special_tokens": ["<sp>"], "mask_token": "<mask>"}) == 2
    return one


@each_class
def test_saved_and_loaded(changed: Any, cls: type, tmp_path: Path) -> None:
    paths = changed.save_pretrained(tmp_path / "new" / "folder")
    assert {Path(path).name for path in paths} == {
        "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    }  # fmt: skip
    assert_same(cls.from_pretrained(tmp_path / "new" / "folder"), changed)


@pytest.mark.parametrize("missing", ["tokenizer.json", "vocab.txt", "special_tokens_map.json"])
@each_class
def test_any_of_the_files_may_be_missing(changed: Any, cls: type, missing: str, tmp_path: Path) -> None:
    changed.save_pretrained(tmp_path)
    (tmp_path / missing).unlink()
    assert_same(cls.from_pretrained(tmp_path), changed)


def test_both_classes_write_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for cls in CLASSES:
        one = cls(SMALL, clean_up_tokenization_spaces=True)
        one.add_tokens(["<ent>"])
        contents.append([Path(path).read_bytes() for path in one.save_pretrained(tmp_path / cls.__name__)])
    assert contents[0] == contents[1]
    assert contents[0][2].decode() == SMALL.read_text(encoding="utf-8")


@each_class
def test_only_tokenizer_json(changed: Any, cls: type, tmp_path: Path) -> None:
    changed.save_pretrained(tmp_path)
    (tmp_path / "alone").mkdir()
    file = shutil.copy(tmp_path / "tokenizer.json", tmp_path / "alone")
    for one in (cls.from_pretrained(tmp_path / "alone"), cls.from_pretrained(file), cls(tokenizer_file=file)):
        one.truncation_side = one.padding_side = "left"  # which that file does not hold
        assert one(TEXTS, padding=True) == changed(TEXTS, padding=True)
        assert one.get_vocab() == changed.get_vocab()


@each_class
def test_added_tokens_json_of_old_versions(cls: type, vocab_only: Path) -> None:
    write_json(vocab_only / "added_tokens.json", **{"<sp>": 354, "<ent>": 353})
    write_json(vocab_only / "special_tokens_map.json", additional_special_tokens=["<sp>"], unk_token="[UNK]")
    one = cls.from_pretrained(vocab_only)
    assert one.convert_tokens_to_ids(["<ent>", "<sp>"]) == [353, 354]
    assert (len(one), one.vocab_size) == (355, 353)
    assert one.decode(one.encode("a <sp> <ent>"), skip_special_tokens=True) == "a <ent>"
    assert one.added_tokens_decoder[353] == AddedToken("<ent>")
    assert one.added_tokens_decoder[354] == AddedToken("<sp>", normalized=False, special=True)


@each_class
def test_special_tokens_as_objects_of_old_versions(cls: type, vocab_only: Path) -> None:
    token = {"__type": "AddedToken", "content": "[MASK]", "lstrip": True, "normalized": False}
    write_json(vocab_only / "tokenizer_config.json", mask_token=token, do_lower_case=True, model_max_length=10**30)
    one = cls.from_pretrained(vocab_only)
    assert one.mask_token == "[MASK]"
    assert one.model_max_length == 512


@each_class
@pytest.mark.parametrize(("capital", "lower"), [(False, True), (True, False)])
def test_case_is_inferred_from_the_vocabulary(cls: type, vocab_only: Path, capital: bool, lower: bool) -> None:
    if capital:
        (vocab_only / "vocab.txt").write_text(SMALL.read_text(encoding="utf-8") + "Hello\n", encoding="utf-8")
    one = cls.from_pretrained(vocab_only)
    assert one.do_lower_case is lower
    assert f"do_lower_case={lower} (inferred: {'1' if capital else 'no'} pieces" in repr(one)
    assert one.tokenize("Hello") == (["Hello"] if capital else ["hello"])


@each_class
def test_case_from_each_source(cls: type, vocab_only: Path, caplog: pytest.LogCaptureFixture) -> None:
    cls(vocab_only / "vocab.txt", do_lower_case=False).save_pretrained(vocab_only)
    (vocab_only / "tokenizer_config.json").unlink()
    assert "do_lower_case=False (tokenizer.json)" in repr(cls.from_pretrained(vocab_only))
    write_json(vocab_only / "tokenizer_config.json", do_lower_case=False)
    assert "do_lower_case=False (tokenizer_config.json)" in repr(cls.from_pretrained(vocab_only))
    assert not caplog.records
    assert "do_lower_case=True (keyword)" in repr(cls.from_pretrained(vocab_only, do_lower_case=True))
    write_json(vocab_only / "tokenizer_config.json", do_lower_case=True)
    assert cls.from_pretrained(vocab_only).tokenize("Hello") == ["hello"]
    assert "tokenizer_config.json says do_lower_case=True but tokenizer.json says False" in caplog.text


@each_class
def test_max_length_from_each_source(cls: type, vocab_only: Path) -> None:
    assert "model_max_length=512 (default)" in repr(cls.from_pretrained(vocab_only))
    write_json(vocab_only / "config.json", max_position_embeddings=64)
    assert "model_max_length=64 (config.json)" in repr(cls.from_pretrained(vocab_only))
    write_json(vocab_only / "tokenizer_config.json", model_max_length=10**30)
    assert cls.from_pretrained(vocab_only).model_max_length == 64
    write_json(vocab_only / "tokenizer_config.json", model_max_length=32)
    assert "model_max_length=32 (tokenizer_config.json)" in repr(cls.from_pretrained(vocab_only))
    assert cls.from_pretrained(vocab_only, model_max_length=16).model_max_length == 16


@each_class
def test_a_hub_id_in_the_cache(cls: type, tmp_path: Path) -> None:
    repository = tmp_path / "models--someone--model"
    snapshot = repository / "snapshots" / ("b" * 40)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("b" * 40)
    cls(SMALL).save_pretrained(snapshot)
    write_json(snapshot / "config.json", max_position_embeddings=128)
    one = cls.from_pretrained("someone/model", cache_dir=tmp_path, do_lower_case=False)
    assert one.do_lower_case is False
    with pytest.raises(CheckpointError, match="someone/other"):
        cls.from_pretrained("someone/other", cache_dir=tmp_path)


@each_class
def test_ids_with_gaps_stay(cls: type, vocab_only: Path) -> None:
    lines = SMALL.read_text(encoding="utf-8").splitlines()
    (vocab_only / "vocab.txt").write_text("\r\n".join([*lines, "", "hello", "last"]) + "\r\n", encoding="utf-8")
    one = cls.from_pretrained(vocab_only)
    assert one.convert_tokens_to_ids(["hello", "last"]) == [354, 355]
    assert one.add_tokens(["<new>"]) == 1
    assert one.encode("hello last <new>") == [2, 354, 355, 356, 3]
    one.save_pretrained(vocab_only / "saved")
    (vocab_only / "saved" / "tokenizer.json").unlink()
    assert cls.from_pretrained(vocab_only / "saved").encode("hello last <new>") == [2, 354, 355, 356, 3]


@each_class
def test_pickling(cls: type) -> None:
    one = cls(SMALL)
    one.add_tokens(["<ent>"])
    assert_same(pickle.loads(pickle.dumps(one)), one)


@each_class
def test_a_vocabulary_without_mask(cls: type, vocab_only: Path) -> None:
    text = SMALL.read_text(encoding="utf-8").replace("[MASK]\n", "")
    (vocab_only / "vocab.txt").write_text(text, encoding="utf-8")
    one = cls.from_pretrained(vocab_only)
    assert (one.mask_token, one.mask_token_id) == (None, None)
    assert len(one) == one.vocab_size == 352
    one.save_pretrained(vocab_only / "saved")
    assert_same(cls.from_pretrained(vocab_only / "saved"), one)


DAMAGED = {
    "vocab.txt": {
        b"a\nb\n": r"the vocabulary has no \[UNK\]",
        b"": "holds no pieces",
        b"\xff\xfe": "cannot be read as a vocabulary",
    },
    "tokenizer.json": {
        b"{": "cannot be read as JSON",
        b"[]": "expected an object",
        b"{}": "has model of no type, DistilBERT has WordPiece",
    },
    "tokenizer_config.json": {
        b'{"model_max_length": -1}': "model_max_length is -1",
        b'{"do_lower_case": "yes"}': "do_lower_case is 'yes'; expected true or false",
        b'{"padding_side": "up"}': "padding_side is 'up'",
        b'{"never_split": "a b"}': "never_split is 'a b'; expected a list of strings",
        b'{"unk_token": "<unk>"}': "the vocabulary has no <unk>; If its unk_token",
        b'{"cls_token": 5}': "a token is a string or an AddedToken; got 5",
        b'{"unk_token": null, "cls_token": 5}': "a token is a string or an AddedToken; got 5",
        b'{"added_tokens_decoder": {"x": "<a>"}}': "added tokens.*damaged",
    },
    "added_tokens.json": {
        b'{"<a>": 3000000}': "'<a>' has id 3000000, but the vocabulary ends at 352",
        b'{"<a>": 3}': r"'<a>' has id 3, but that is the id of '\[SEP\]'",
        b'{"hello": 353}': r"'hello' has id 353, but it has id 221 already; correct it",
    },
}
"""For each file what may stand in it, and what is said of that."""


@each_class
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [(file, content, message) for file, cases in DAMAGED.items() for content, message in cases.items()],
)
def test_damaged_files(cls: type, vocab_only: Path, file: str, content: bytes, message: str) -> None:
    (vocab_only / file).write_bytes(content)
    with pytest.raises(TokenizerError, match=message):
        cls.from_pretrained(vocab_only)


@each_class
@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("model", {"type": "BPE", "vocab": {}}, "has model BPE, DistilBERT has WordPiece"),
        ("normalizer", {"type": "NFC"}, "has normalizer NFC"),
        ("pre_tokenizer", {"type": "Whitespace"}, "has pre_tokenizer Whitespace"),
        ("pre_tokenizer", None, "has no pre_tokenizer, so that every text would be one word"),
        ("post_processor", {"type": "TemplateProcessing", "single": [], "pair": []}, "puts .* together"),
        ("post_processor", {"type": "ByteLevel"}, "a post_processor ByteLevel that puts"),
        ("model", {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 0}}, "an id of its own"),
        ("model", {"type": "WordPiece", "unk_token": "[UNK]", "vocab": ["a"]}, "damaged"),
    ],
)
def test_tokenizers_of_other_models(cls: type, tmp_path: Path, part: str, value: Any, message: str) -> None:
    cls(SMALL).save_pretrained(tmp_path)
    edit_json(tmp_path / "tokenizer.json", **{part: value})
    with pytest.raises(TokenizerError, match=message):
        cls.from_pretrained(tmp_path)


@each_class
def test_tokenizer_json_of_old_versions(cls: type, tmp_path: Path) -> None:
    one = cls(SMALL)
    one.save_pretrained(tmp_path)
    model = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    del model["type"]
    ends = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    edit_json(tmp_path / "tokenizer.json", model=model, post_processor=ends)
    assert_same(cls.from_pretrained(tmp_path), one)


@each_class
def test_a_decoder_that_keeps_spaces(cls: type, tmp_path: Path) -> None:
    cls(SMALL, clean_up_tokenization_spaces=False).save_pretrained(tmp_path)
    edit_json(tmp_path / "tokenizer.json", decoder={"type": "WordPiece", "prefix": "##", "cleanup": False})
    one = cls.from_pretrained(tmp_path)
    assert one.decode(one.encode("so, it's.")[1:-1]) == "so , it ' s ."
    one.save_pretrained(tmp_path / "again")
    assert_same(cls.from_pretrained(tmp_path / "again"), one)
    assert cls.from_pretrained(tmp_path / "again").decode(one.encode("so,")[1:-1]) == "so ,"


@each_class
def test_a_vocabulary_at_home(cls: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD] [UNK] [CLS] [SEP] [MASK] a".replace(" ", "\n"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cls.from_pretrained("~/vocab.txt").vocab_size == 6


@each_class
def test_wrong_places(cls: type, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"has neither tokenizer\.json nor vocab\.txt"):
        cls.from_pretrained(tmp_path)
    with pytest.raises(TokenizerError, match="there is no file"):
        cls(tmp_path / "vocab.txt")
    with pytest.raises(TokenizerError, match="no vocabulary was given"):
        cls()
    with pytest.raises(TypeError, match=r"no option lowercase; it has do_lower_case"):
        cls(SMALL, lowercase=True)
    with pytest.raises(TokenizerError, match="is a file; give a directory"):
        cls(SMALL).save_pretrained(SMALL)


def test_the_library_opens_what_is_written(changed: Any, tmp_path: Path) -> None:
    changed.save_pretrained(tmp_path)
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS:
        assert library.encode(text).ids == changed.encode(text)
        assert library.encode(text, "a b").ids == changed.encode(text, "a b")


def test_loading_says_nothing_when_all_is_well(vocab_only: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="distilbert_common")
    for cls in (DistilBertTokenizer, DistilBertTokenizerFast):
        cls.from_pretrained(vocab_only)("a")
    assert not caplog.records


@pytest.fixture
def reversed_vocab(tmp_path: Path) -> Path:
    """A vocabulary with the same pieces in another order, apart from the special tokens."""
    lines = SMALL.read_text(encoding="utf-8").splitlines()
    path = tmp_path / "reversed.txt"
    path.write_text("\n".join([*lines[:5], *reversed(lines[5:])]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("has_vocab", [True, False])
@each_class
def test_a_vocab_file_of_another_directory(cls: type, has_vocab: bool, reversed_vocab: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    write_json(folder / "tokenizer_config.json", do_lower_case=False, model_max_length=77)
    if has_vocab:
        shutil.copy(SMALL, folder / "vocab.txt")
    one = cls.from_pretrained(folder, vocab_file=str(reversed_vocab))
    assert (one.encode("the film"), one.encode("The"), one.model_max_length) == ([2, 228, 179, 3], [2, 1, 3], 77)
    with pytest.raises(TokenizerError, match=r"there is no file .*reversed\.txtx"):
        cls.from_pretrained(folder, vocab_file=f"{reversed_vocab}x")


def test_the_fast_class_reads_tokenizer_json_before_a_vocab_file(
    reversed_vocab: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    DistilBertTokenizerFast(SMALL, model_max_length=77).save_pretrained(tmp_path / "saved")
    fast = DistilBertTokenizerFast.from_pretrained(tmp_path / "saved", vocab_file=reversed_vocab)
    assert fast.encode("the film") == [2, 129, 178, 3]
    assert f"tokenizer.json decides, so that vocab_file={reversed_vocab} is not read" in caplog.text
    slow = DistilBertTokenizer.from_pretrained(tmp_path / "saved", vocab_file=reversed_vocab)
    assert (slow.encode("the film"), slow.model_max_length) == ([2, 228, 179, 3], 77)


@each_class
def test_a_tokenizer_file_of_another_directory(cls: type, reversed_vocab: Path, tmp_path: Path) -> None:
    DistilBertTokenizerFast(reversed_vocab).save_pretrained(tmp_path / "other")
    DistilBertTokenizerFast(SMALL, model_max_length=77).save_pretrained(tmp_path / "saved")
    one = cls.from_pretrained(tmp_path / "saved", tokenizer_file=tmp_path / "other" / "tokenizer.json")
    assert (one.encode("the film"), one.model_max_length) == ([2, 228, 179, 3], 77)
