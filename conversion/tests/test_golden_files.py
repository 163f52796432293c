"""What is read from, and written like, the files of transformers 4.57.6: every head, every dialect."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from distilbert_conversion import HEADS, convert, open_checkpoint
from parity_tests.helpers.checkpoints import MICRO, assert_same, read_all
from parity_tests.helpers.golden import FOLDERS, case_id, cases, folders
from parity_tests.helpers.golden_files import DIALECTS, WRITTEN, written_as_golden


def test_every_golden_dialect_is_covered() -> None:
    assert set(DIALECTS) == set(FOLDERS)


@pytest.mark.parametrize(("config", "head"), cases(), ids=case_id)
def test_reading(config: Path, head: str) -> None:
    truth = read_all(folders(config, head)["pt"])
    for name, folder in folders(config, head).items():
        with open_checkpoint(folder) as checkpoint:
            assert (checkpoint.dialect, checkpoint.head, checkpoint.dtype) == (DIALECTS[name][0], head, "float32")
            assert checkpoint.sharded == (name == "pt_sharded")
            assert not checkpoint.extras
            assert not checkpoint.ignored
            arrays = read_all(checkpoint)
            for tied in checkpoint.tied:
                np.testing.assert_array_equal(arrays.pop(tied), truth["embeddings.word_embeddings.weight"])
            assert_same(arrays, truth)


@pytest.mark.parametrize(("config", "head"), cases(), ids=case_id)
def test_writing_what_transformers_wrote(config: Path, head: str, tmp_path: Path) -> None:
    golden = folders(config, head)
    for name in (name for name in WRITTEN if name in golden):
        assert written_as_golden(config, head, name, tmp_path), name
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


def test_dropout_group_is_the_one_of_a_fresh_process(tmp_path: Path) -> None:
    convert(MICRO / "ForQuestionAnswering" / "pt", tmp_path / "out", to="tf")
    with h5py.File(tmp_path / "out" / "tf_model.h5") as file:
        # transformers 4.57.6 in a process of its own, two blocks: one dropout in the embeddings, three in each block
        assert list(file.attrs["layer_names"]) == ["distilbert", "qa_outputs", "dropout_7"]
