"""Modules that a user added or replaced: through every dialect and back under their own names, bit for bit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from distilbert_common.errors import CheckpointError, MisshapenWeightError, UnsupportedFormatError
from distilbert_conversion import (
    FORMATS,
    Checkpoint,
    compare,
    convert,
    diff,
    load_weights,
    open_checkpoint,
    save_checkpoint,
)
from distilbert_conversion.weights.table import bare_name, full_name
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all

RNG = np.random.default_rng(0)
BODY = read_all(MICRO / "Model" / "pt")
CLASSIFIER = read_all(MICRO / "ForSequenceClassification" / "pt")
REPLACED = {
    "classifier.0.weight": RNG.normal(size=(5, 12)).astype("f4"),
    "classifier.2.weight": RNG.normal(size=(3, 5)).astype("f4"),
    "classifier.2.bias": RNG.normal(size=3).astype("f4"),
}
ADDED = {
    "batch_norm.running_mean": RNG.normal(size=12).astype("f2"),
    "batch_norm.num_batches_tracked": np.array(7, np.int64),
    "mask": np.array([True, False, True]),
    "distilbert.adapter.down/kernel": RNG.normal(size=(12, 2)).astype("f4"),
    "crf.transitions": RNG.normal(size=(4, 4)),
    "empty": np.zeros((0, 3), "f4"),
}
KINDS: dict[str, tuple[str | None, Mapping[str, np.ndarray]]] = {
    "replaced": (
        "ForSequenceClassification",
        {name: array for name, array in CLASSIFIER.items() if not name.startswith("classifier")} | REPLACED,
    ),
    "added": ("ForSequenceClassification", CLASSIFIER | ADDED),
    "own_head": (None, BODY | REPLACED | ADDED),
    "own_classifier": (None, BODY | {"classifier.weight": RNG.normal(size=(9, 12)).astype("f4")} | ADDED),
    "two_heads": (
        "ForSequenceClassification",
        CLASSIFIER | {"qa_outputs.weight": RNG.normal(size=(2, 12)).astype("f4"), "qa_outputs.bias": np.ones(2, "f4")},
    ),
    "bare": ("Model", BODY | {"pooler.weight": RNG.normal(size=(12, 12)).astype("f4")}),
}
TARGETS = [(to, format) for to, formats in FORMATS.items() for format in formats if format != "keras-hub"]


def own(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    return {name: np.array(tensor.read()) for name, tensor in {**checkpoint.tensors, **checkpoint.extras}.items()}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def source(kind: str, tmp_path: Path) -> Path:
    return saved(kind, tmp_path / "source")


def saved(kind: str, folder: Path, **options: object) -> Path:
    head, tensors = KINDS[kind]
    config = open_checkpoint(MICRO / "ForSequenceClassification" / "pt").config().updated(architectures=["MyModel"])
    config.save_pretrained(folder)
    shapes = {name: array.shape for name, array in tensors.items()}
    save_checkpoint(folder, tensors, config, head, expected=shapes, **options)
    return folder


def test_saved_as_pytorch_names_them(kind: str, source: Path) -> None:
    head, tensors = KINDS[kind]
    assert set(open_checkpoint(source).file_tensors) == {full_name(name, head) for name in tensors}
    assert {bare_name(full_name(name, head)) for name in tensors} == set(tensors)


@pytest.mark.parametrize(("to", "format"), TARGETS)
def test_there_and_back(to: str, format: str, kind: str, source: Path, tmp_path: Path) -> None:
    extras = [name for name in KINDS[kind][1] if name in open_checkpoint(source).extras]
    there = convert(source, tmp_path / "there", to=to, format=format)
    assert all(name in there.message() for name in extras)
    assert there.report.extras == tuple(sorted(extras))
    convert(tmp_path / "there", tmp_path / "back", to="pt")
    assert_same(own(open_checkpoint(tmp_path / "there")), KINDS[kind][1])
    assert_same(own(open_checkpoint(tmp_path / "back")), KINDS[kind][1])
    assert diff(source, tmp_path / "there").equal


def test_the_chain_of_all_frameworks(kind: str, source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "tf", to="tf")
    convert(tmp_path / "tf", tmp_path / "flax", to="flax")
    convert(tmp_path / "flax", tmp_path / "pt", to="pt")
    assert (tmp_path / "pt" / "model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("to", "format"), [("pt", "safetensors"), ("pt", "bin"), ("tf", "h5"), ("flax", "msgpack")])
def test_shards(to: str, format: str, kind: str, tmp_path: Path) -> None:
    source = saved(kind, tmp_path / "source", max_shard_size=2000)
    convert(source, tmp_path / "there", to=to, format=format, max_shard_size=1500)
    checkpoint = open_checkpoint(tmp_path / "there")
    assert checkpoint.sharded
    assert_same(own(checkpoint), KINDS[kind][1])


def test_types(source: Path, kind: str, tmp_path: Path) -> None:
    convert(source, tmp_path / "half", to="pt", dtype="float16")
    floats = {name: array.dtype.kind == "f" for name, array in KINDS[kind][1].items()}
    halves = own(open_checkpoint(tmp_path / "half"))
    assert {name: array.dtype == np.float16 for name, array in halves.items()} == floats


def test_a_preset_cannot_hold_them(kind: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormatError, match=r"cannot hold .*weights of its own"):
        convert(source, tmp_path / "preset", to="tf", format="keras-hub")


def test_a_named_head_leaves_them_out(tmp_path: Path) -> None:
    summary = convert(saved("added", tmp_path / "source"), tmp_path / "out", to="pt", head="ForSequenceClassification")
    assert "left out: batch_norm.num_batches_tracked" in summary.message()
    assert_same(own(open_checkpoint(tmp_path / "out")), CLASSIFIER)


def test_layers_of_a_users_own_modules_go_along(tmp_path: Path) -> None:
    source = saved("bare", tmp_path / "source")
    tensors = dict(KINDS["bare"][1])
    for layer in (0, 1):
        tensors[f"transformer.layer.{layer}.adapter.weight"] = np.full((2, 2), layer, "f4")
    tensors["other.layer.1.weight"] = np.ones(1, "f4")
    config = open_checkpoint(source).config()
    save_checkpoint(source, tensors, config, "Model")
    convert(source, tmp_path / "student", to="pt", layers=[1])
    extras = open_checkpoint(tmp_path / "student").extras
    assert set(extras) == {"pooler.weight", "other.layer.1.weight", "transformer.layer.0.adapter.weight"}
    assert extras["transformer.layer.0.adapter.weight"].read()[0, 0] == 1


class TestReport:
    """What a model with an inventory of its own is told."""

    def report(self, kind: str, source: Path, inventory: Mapping[str, np.ndarray] | None = None):
        head, tensors = KINDS[kind]
        shapes = {name: array.shape for name, array in (inventory or tensors).items()}
        loaded: dict[str, np.ndarray] = {}
        with open_checkpoint(source) as checkpoint:
            report = load_weights(checkpoint, checkpoint.config(), head, loaded.__setitem__, expected=shapes)
        return report, loaded

    def test_all_of_them_are_loaded(self, kind: str, source: Path) -> None:
        report, loaded = self.report(kind, source)
        assert_same(loaded, KINDS[kind][1])
        assert report.ok
        assert str(report) == f"all {len(loaded)} weights found"

    def test_a_bare_checkpoint_has_none(self) -> None:
        report, _ = self.report("replaced", MICRO / "Model" / "pt")
        assert set(report.new_extras) == set(REPLACED)
        assert set(report.new_head) == {"pre_classifier.weight", "pre_classifier.bias", *REPLACED}
        assert report.message().startswith("3 not in the checkpoint, with initial values: classifier.0.weight, ")

    def test_a_replaced_module(self) -> None:
        report, _ = self.report("replaced", MICRO / "ForSequenceClassification" / "pt")
        assert report.unexpected == ("classifier.bias", "classifier.weight")
        assert report.new_extras == tuple(sorted(REPLACED))
        assert not report.tied

    def test_a_model_of_ours_lacks_them(self, tmp_path: Path) -> None:
        with open_checkpoint(saved("added", tmp_path)) as checkpoint:
            report = compare(checkpoint, checkpoint.config(), "ForSequenceClassification")
        assert report.unexpected == tuple(sorted(ADDED))

    def test_the_wrong_shape(self, tmp_path: Path) -> None:
        other = dict(KINDS["own_head"][1]) | {"classifier.0.weight": np.zeros((6, 12), "f4")}
        with pytest.raises(RuntimeError, match=r"classifier\.0\.weight is \(5, 12\), expected \(6, 12\)") as raised:
            self.report("own_head", saved("own_head", tmp_path), other)
        assert isinstance(raised.value, MisshapenWeightError)

    def test_with_the_backbones_prefix_and_without(self, tmp_path: Path) -> None:
        source = saved("bare", tmp_path)
        inventory = dict(BODY) | {"distilbert.pooler.weight": np.zeros((12, 12), "f4")}
        report, loaded = self.report("own_head", source, inventory)
        assert report.extras == ("distilbert.pooler.weight",)
        assert_same({"w": loaded["distilbert.pooler.weight"]}, {"w": KINDS["bare"][1]["pooler.weight"]})

    def test_an_own_head_must_say_what_it_has(self) -> None:
        with open_checkpoint(MLM) as checkpoint, pytest.raises(CheckpointError, match="pass expected="):
            compare(checkpoint, checkpoint.config(), None)


def test_names_that_a_tree_cannot_hold(tmp_path: Path) -> None:
    config = open_checkpoint(MLM).config()
    tensors = BODY | {"a": np.zeros(1, "f4"), "a/b": np.zeros(1, "f4")}
    for dialect in ("flax-msgpack", "tf-h5", "keras", "flax-orbax"):
        with pytest.raises(UnsupportedFormatError, match=r"'a' beside 'a/b'"):
            save_checkpoint(tmp_path, tensors, config, None, dialect=dialect)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["..", ".hidden", "a/../b", "a//b", "/etc/x", "nul\0", "x" * 300, "a\\b", "layers/0/kernel"]
)
def test_names_that_are_no_paths(name: str, tmp_path: Path) -> None:
    config = open_checkpoint(MLM).config()
    for dialect in ("pt-safetensors", "pt-bin", "flax-msgpack", "tf-h5", "keras", "flax-orbax"):
        folder = tmp_path / dialect / "model"
        folder.mkdir(parents=True)
        with suppress(UnsupportedFormatError):
            save_checkpoint(folder, BODY | {name: np.ones(2, "f4")}, config, None, dialect=dialect)
            assert list(open_checkpoint(folder).extras) == [name]
        assert [path.name for path in folder.parent.iterdir()] == ["model"]
        assert (folder / "model.safetensors").is_file() or not dialect.startswith("pt-s")


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "config.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "only a pointer .* git lfs pull"),
        ("\n<!DOCTYPE html>\n<html>404</html>\n", "a page of HTML .* download the file itself"),
        ('{"error": "Repository not found"}', "a server's error"),
        ("", "empty; get it again, or remove it"),
    ],
)
def test_what_a_failed_download_leaves_is_not_carried_over(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    source = saved("bare", tmp_path / "source")
    (source / name).write_text(content)
    with pytest.raises(OSError, match=rf"{name} is {message}"):
        convert(source, tmp_path / "out", to="tf")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json"])
@pytest.mark.parametrize("content", ["{}".encode("utf-16"), bytes(64)], ids=["utf-16", "zeros"])
def test_what_is_no_text_is_not_carried_over(name: str, content: bytes, tmp_path: Path) -> None:
    source = saved("bare", tmp_path / "source")
    (source / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name} (is not|cannot be read as).*get it again"):
        convert(source, tmp_path / "out", to="tf")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["vocab.txt", "config.json", "model.safetensors"])
def test_a_link_to_nothing_is_not_passed_over(name: str, tmp_path: Path) -> None:
    source = saved("bare", tmp_path / "source")
    (source / name).unlink(missing_ok=True)
    (source / name).symlink_to(tmp_path / "blob")
    with pytest.raises(OSError, match=rf"{name} is a link to .*blob, where no file is"):
        convert(source, tmp_path / "out", to="tf")


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json", "config.json"])
def test_secrets_are_not_carried_over(name: str, tmp_path: Path) -> None:
    source = saved("bare", tmp_path / "source")
    path = source / name
    fields = json.loads(path.read_text()) if path.is_file() else {"unk_token": "[UNK]"}
    secrets = {"use_auth_token": "s3cret", "pwd": "s3cret", "source": "https://me:s3cret@host/model"}
    path.write_text(json.dumps({**fields, **secrets}))
    with warnings.catch_warnings(action="ignore"):
        convert(source, tmp_path / "out", to="tf")
    assert json.loads((tmp_path / "out" / name).read_text()).items() >= fields.items()
    assert "s3cret" not in (tmp_path / "out" / name).read_text()


def test_loading_options_in_a_config_are_not_carried_over(tmp_path: Path) -> None:
    source = saved("bare", tmp_path / "source")
    path = source / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "trust_remote_code": True, "own": 1}))
    convert(source, tmp_path / "out", to="tf")
    fields = json.loads((tmp_path / "out" / "config.json").read_text())
    assert ("trust_remote_code" not in fields, fields["own"]) == (True, 1)
