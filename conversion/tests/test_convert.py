"""Converting whole folders: what is written, what goes along, which model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from distilbert_common.errors import CheckpointError, UnsupportedFormatError
from distilbert_conversion import FORMATS, convert, open_checkpoint
from distilbert_conversion.output.sidecar_files import SIDECAR_FILES
from parity_tests.helpers.checkpoints import MLM, assert_same, read_all, safetensors_bytes


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint folder that a test may change."""
    return Path(shutil.copytree(MLM, tmp_path / "source"))


def test_summary(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    summary = convert(MLM, tmp_path / "out", to="flax", progress=lambda done, total: seen.append((done, total)))
    assert (summary.source_dialect, summary.dialect, summary.head) == ("pt-safetensors", "flax-msgpack", "ForMaskedLM")
    assert (summary.tensors, summary.parameters) == (41, 3284)
    assert summary.files == (tmp_path / "out" / "flax_model.msgpack",)
    assert summary.nbytes == summary.files[0].stat().st_size
    assert summary.report.ok
    assert summary.message().startswith(
        "pt-safetensors -> flax-msgpack: DistilBertForMaskedLM, 41 tensors, 3,284 parameters, 0.0 MB in "
    )
    assert sum(done for done, _ in seen) == seen[0][1] == 4 * 3284


def test_first_format_is_the_usual_one(tmp_path: Path) -> None:
    names = {to: convert(MLM, tmp_path / to, to=to).files[0].name for to in FORMATS}
    assert names == {"pt": "model.safetensors", "tf": "tf_model.h5", "flax": "flax_model.msgpack"}


def test_tokenizer_files_go_along_as_they_are(source: Path, tmp_path: Path) -> None:
    for number, name in enumerate(SIDECAR_FILES):
        (source / name).write_bytes(f'{{"{number}":\r\n  "\xe9"}}'.encode())
    (source / "optimizer.pt").write_bytes(b"stays")
    convert(source, tmp_path / "out", to="tf")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*SIDECAR_FILES, "config.json", "tf_model.h5"}
    for name in SIDECAR_FILES:
        assert (tmp_path / "out" / name).read_bytes() == (source / name).read_bytes()


def test_credentials_stay_behind(source: Path, tmp_path: Path) -> None:
    secret = "hf_" + "s" * 34
    tokenizer = {"use_auth_token": secret, "do_lower_case": True, "extra_special_tokens": ["<a>"], "hub_token": "x" * 9}
    (source / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    config = {**json.loads((MLM / "config.json").read_text()), "use_auth_token": secret}
    (source / "config.json").write_text(json.dumps(config))
    with pytest.warns(UserWarning, match=r"has a secret under use_auth_token") as said:
        convert(source, tmp_path / "out", to="flax")
    assert (said[0].filename, secret in str(said[0].message)) == (__file__, False)
    written = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert written == {"do_lower_case": True, "additional_special_tokens": ["<a>"]}  # as transformers 4 knows it
    assert secret not in (tmp_path / "out" / "config.json").read_text()


def config_after(source: Path, tmp_path: Path, **fields: object) -> dict[str, object]:
    config = {**json.loads((MLM / "config.json").read_text()), **fields}
    (source / "config.json").write_text(json.dumps(config))
    convert(source, tmp_path / "out", to="flax", dtype="float16")
    return dict(json.loads((tmp_path / "out" / "config.json").read_text()))


def test_config_keeps_what_it_has_and_gets_the_type(source: Path, tmp_path: Path) -> None:
    before = json.loads((MLM / "config.json").read_text())
    after = config_after(source, tmp_path, own_field=[1, {"a": None}], architectures=["TFDistilBertForMaskedLM"])
    assert after == {
        **before,
        "own_field": [1, {"a": None}],
        "architectures": ["DistilBertForMaskedLM"],
        "dtype": "float16",
    }


def test_config_of_older_versions_keeps_its_field(source: Path, tmp_path: Path) -> None:
    config = json.loads((source / "config.json").read_text())
    config["torch_dtype"] = config.pop("dtype")
    (source / "config.json").write_text(json.dumps(config))
    convert(source, tmp_path / "out", to="pt", dtype="bfloat16")
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {**config, "torch_dtype": "bfloat16"}


def test_a_weights_file_as_source(source: Path, tmp_path: Path) -> None:
    convert(source / "model.safetensors", tmp_path / "out", to="tf")
    assert_same(read_all(tmp_path / "out"), read_all(MLM))


class TestHead:
    """Which model is written."""

    def test_the_backbone_of_a_model(self, tmp_path: Path) -> None:
        summary = convert(MLM, tmp_path / "out", to="pt", head="Model")
        assert_same(
            read_all(tmp_path / "out"),
            {name: array for name, array in read_all(MLM).items() if not name.startswith("vocab_")},
        )
        assert set(open_checkpoint(tmp_path / "out").file_tensors) == set(read_all(tmp_path / "out"))  # no prefix
        assert json.loads((tmp_path / "out" / "config.json").read_text())["architectures"] == ["DistilBertModel"]
        assert "left out: vocab_layer_norm.bias, " in summary.message()

    def test_a_head_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"has no classifier\.bias.*it holds a DistilBertForMaskedLM"):
            convert(MLM, tmp_path / "out", to="pt", head="ForSequenceClassification")

    def test_weights_that_are_no_models(self, source: Path, tmp_path: Path) -> None:
        tensors = {name: np.array(tensor.read()) for name, tensor in open_checkpoint(MLM).file_tensors.items()}
        tensors["distilbert.transformer.layer.2.ffn.lin1.bias"] = np.zeros(20, np.float32)
        (source / "model.safetensors").write_bytes(safetensors_bytes(tensors))
        with pytest.raises(CheckpointError, match=r"lost: transformer\.layer\.2\.ffn\.lin1\.bias; "):
            convert(source, tmp_path / "out", to="pt")
        assert not (tmp_path / "out").exists()
        tensors["crf.transitions"] = np.zeros((2, 2), np.float32)
        (source / "model.safetensors").write_bytes(safetensors_bytes(tensors))
        summary = convert(source, tmp_path / "out", to="pt", head="ForMaskedLM")
        assert "left out: crf.transitions, transformer.layer.2.ffn.lin1.bias" in summary.message()
        assert_same(read_all(tmp_path / "out"), read_all(MLM))


class TestWrongArguments:
    """One sentence that names what was given and what was expected."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"to": "onnx"}, r"'onnx'; expected one of pt, tf, flax"),
            ({"to": "pt", "format": "h5"}, r"'h5'; for pt expected one of safetensors, bin"),
            ({"to": "pt", "dtype": "int8"}, r"'int8'; expected one of float64, float32"),
            ({"to": "pt", "head": "ForCausalLM"}, r"'ForCausalLM'; expected one of Model, ForMaskedLM"),
            ({"to": "pt", "max_shard_size": "big"}, r"the shard size is 'big'; expected bytes, or a number"),
            ({"to": "pt", "max_shard_size": 0}, "the shard size is 0;"),
            ({"to": "pt", "max_shard_size": "-1GB"}, "the shard size is '-1GB';"),
            ({"to": "pt", "max_shard_size": "2TB"}, "the shard size is '2TB';"),
        ],
    )
    def test_refused(self, options: dict[str, str], message: str, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=message):
            convert(MLM, tmp_path / "out", **options)
        assert list(tmp_path.iterdir()) == []

    def test_bfloat16_in_h5(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedFormatError, match="use format safetensors or keras, or dtype float32"):
            convert(MLM, tmp_path / "out", to="tf", dtype="bfloat16")
        assert list(tmp_path.iterdir()) == []

    def test_shards_of_keras_weights(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedFormatError, match="cannot be sharded; use format safetensors"):
            convert(MLM, tmp_path / "out", to="tf", format="keras", max_shard_size="4KB")
        assert list(tmp_path.iterdir()) == []
