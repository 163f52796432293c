"""What is read from, and written like, the files of transformers 4.57.6: every head, every dialect."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from checkpoints import MICRO, assert_same, read_all
from distilbert_conversion import HEADS, convert, open_checkpoint
from golden import FOLDERS, case_id, cases, folders

DIALECTS = {
    "pt": ("pt-safetensors", "pt", "safetensors"),
    "pt_bin": ("pt-bin", "pt", "bin"),
    "pt_sharded": ("pt-safetensors", "pt", "safetensors"),
    "tf_h5": ("tf-h5", "tf", "h5"),
    "tf_safetensors": ("tf-safetensors", "tf", "safetensors"),
    "flax_msgpack": ("flax-msgpack", "flax", "msgpack"),
    "flax_safetensors": ("flax-safetensors", "flax", "safetensors"),
}
BYTE_FOR_BYTE = ("pt", "tf_safetensors", "flax_safetensors", "flax_msgpack")


def test_every_golden_dialect_is_covered() -> None:
    assert set(DIALECTS) == set(FOLDERS)


@pytest.mark.parametrize(("config", "head"), cases(), ids=case_id)
def test_reading(config: Path, head: str) -> None:
    truth = read_all(folders(config, head)["pt"])
    for name, folder in folders(config, head).items():
        with open_checkpoint(folder) as checkpoint:
            assert (checkpoint.dialect, checkpoint.head, checkpoint.dtype) == (DIALECTS[name][0], head, "float32")
            assert checkpoint.sharded == (name == "pt_sharded")
            assert not checkpoint.unrecognised
            assert not checkpoint.ignored
            found = read_all(checkpoint)
            for tied in checkpoint.tied:
                np.testing.assert_array_equal(found.pop(tied), truth["embeddings.word_embeddings.weight"])
            assert_same(found, truth)


@pytest.mark.parametrize(("config", "head"), cases(), ids=case_id)
def test_writing_what_transformers_wrote(config: Path, head: str, tmp_path: Path) -> None:
    golden = folders(config, head)
    for name in BYTE_FOR_BYTE:
        if name in golden:
            _, to, form = DIALECTS[name]
            (written, *_) = convert(golden["pt"], tmp_path / name, to=to, format=form).files
            assert written.read_bytes() == (golden[name] / written.name).read_bytes()
            ours, theirs = (json.loads((path / "config.json").read_text()) for path in (tmp_path / name, golden[name]))
            assert ours == theirs


@pytest.mark.parametrize("head", HEADS)
def test_writing_shards_as_transformers_divides_them(head: str, tmp_path: Path) -> None:
    golden = folders(MICRO, head)
    summary = convert(golden["pt"], tmp_path / "out", to="pt", max_shard_size="4KB")
    assert sorted(file.name for file in summary.files) == sorted(
        path.name for path in golden["pt_sharded"].iterdir() if path.name != "config.json"
    )
    for file in summary.files:
        assert file.read_bytes() == (golden["pt_sharded"] / file.name).read_bytes()


def described(path: Path) -> dict[str, Any]:
    """Return every group, data set and attribute of an HDF5 file; numbers that differ by process are made equal.

    Keras counts the models and the dropout layers that a process has made, and writes the counts into the names.
    """
    found: dict[str, Any] = {}

    def plain(text: str) -> str:
        return re.sub(r"(tf_distil_bert[a-z_]*?|dropout)(_\d+)?(?=/|$)", r"\1", text)

    def visit(name: str, item: Any) -> None:
        attributes = {key: [plain(str(entry)) for entry in np.atleast_1d(value)] for key, value in item.attrs.items()}
        content = (item.dtype, item.shape, item[()].tobytes()) if isinstance(item, h5py.Dataset) else ()
        found[plain(name)] = (attributes, content)

    with h5py.File(path) as file:
        visit("", file)
        file.visititems(visit)
    return found


@pytest.mark.parametrize(("config", "head"), cases(), ids=case_id)
def test_writing_h5_as_keras_2_lays_it_out(config: Path, head: str, tmp_path: Path) -> None:
    golden = folders(config, head)
    if "tf_h5" not in golden:  # an untied model, which transformers cannot hold
        assert (config.name, head) == ("tiny-untied-relu", "ForMaskedLM")
        return
    convert(golden["pt"], tmp_path / "out", to="tf", format="h5")
    assert described(tmp_path / "out" / "tf_model.h5") == described(golden["tf_h5"] / "tf_model.h5")


def test_dropout_group_is_the_one_of_a_fresh_process(tmp_path: Path) -> None:
    convert(MICRO / "ForQuestionAnswering" / "pt", tmp_path / "out", to="tf")
    with h5py.File(tmp_path / "out" / "tf_model.h5") as file:
        # transformers 4.57.6 in a process of its own, two blocks: one dropout in the embeddings, three in each block
        assert list(file.attrs["layer_names"]) == ["distilbert", "qa_outputs", "dropout_7"]


@pytest.mark.parametrize(("config", "head"), cases(), ids=case_id)
def test_writing_bin(config: Path, head: str, tmp_path: Path) -> None:
    golden = folders(config, head)
    convert(golden["pt"], tmp_path / "out", to="pt", format="bin")
    with open_checkpoint(tmp_path / "out") as ours, open_checkpoint(golden["pt_bin"]) as theirs:
        assert {name: tensor.shape for name, tensor in ours.stored.items()} == {
            name: tensor.shape for name, tensor in theirs.stored.items()
        }
        assert_same(read_all(ours), read_all(theirs))
