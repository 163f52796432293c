"""Files and folders that are something else than their names say: the message says what, and what to do."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from distilbert_common.errors import CheckpointError
from distilbert_conversion import open_checkpoint
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all

SAFETENSORS = (MLM / "model.safetensors").read_bytes()
H5 = (MICRO / "ForMaskedLM" / "tf_h5" / "tf_model.h5").read_bytes()
BIN = (MICRO / "ForMaskedLM" / "pt_bin" / "pytorch_model.bin").read_bytes()
FOREIGN = {
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    "page": (b"\n<!DOCTYPE html><html><body>404</body></html>", r"a page of HTML .*download the file itself"),
    "denied": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a page of HTML or XML"),
    "error": (b'{"error": "Repository not found"}', "with a token if it is private"),
    "gzip": (gzip.compress(SAFETENSORS), "compressed by gzip; unpack it with: gunzip"),
    "gguf": (b"GGUF\3\0\0\0" + bytes(64), "use the checkpoint that it was made from"),
}
NAMES = ("model.safetensors", "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("content", "message"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_checkpoint(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "ending"),
    [
        ("pytorch_model.bin", SAFETENSORS, ".safetensors"),
        ("tf_model.h5", SAFETENSORS, ".safetensors"),
        ("flax_model.msgpack", SAFETENSORS, ".safetensors"),
        ("model.safetensors", H5, ".h5"),
        ("pytorch_model.bin", H5, ".h5"),
        ("model.safetensors", BIN, ".bin"),
        ("tf_model.h5", BIN, ".bin"),
    ],
)
def test_the_advice_on_a_wrong_name_cures_it(name: str, content: bytes, ending: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"a name that ends in \{ending}"):
        open_checkpoint(tmp_path)
    renamed = (tmp_path / name).rename(tmp_path / f"model{ending}")
    weights = read_all(renamed)
    weights.pop("vocab_projector.weight", None)  # a .bin has the tied one too
    assert_same(weights, read_all(MLM))


def test_a_trainer_s_folder_of_folders(tmp_path: Path) -> None:
    shutil.copytree(MLM, tmp_path / "checkpoint-500")
    with pytest.raises(CheckpointError, match=r"its folders have: give one of checkpoint-500, as .*/checkpoint-500$"):
        open_checkpoint(tmp_path)


def test_weights_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "optimizer.pt").write_bytes(b"")
    (tmp_path / "best.pt").write_bytes(BIN)
    with pytest.raises(CheckpointError, match=r"if one of best\.pt holds them, give that file, as .*/best\.pt$"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("adapter_model.safetensors", "merge_and_unload"),
        ("saved_model.pb", "use the checkpoint that it was exported from"),
        ("openvino_model.xml", "export that to ONNX"),
        ("model.onnx", "use the checkpoint that it was exported from"),
        ("classifier.keras", "keras.saving.load_model and call its save_pretrained"),
        ("rust_model.ot", "use the checkpoint that it was made from"),
    ],
)
def test_other_programs_files(name: str, advice: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=advice):
        open_checkpoint(tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="give the folder that a save_pretrained wrote"):
        open_checkpoint(tmp_path)
