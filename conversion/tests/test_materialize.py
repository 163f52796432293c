"""A tied projector written as a tensor of its own, for runtimes that do not tie."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from distilbert_common.errors import UnsupportedFormatError
from distilbert_conversion import convert, diff, open_checkpoint, save_checkpoint
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all
from parity_tests.helpers.command_line import run

EMBEDDINGS = "distilbert.embeddings.word_embeddings.weight"


def test_it_is_there_as_a_plain_tensor(tmp_path: Path) -> None:
    convert(MICRO / "ForMaskedLM" / "tf_h5", tmp_path / "out", to="pt", materialize_tied=True)
    file_tensors = load_file(tmp_path / "out" / "model.safetensors")
    assert file_tensors["vocab_projector.weight"].tobytes() == file_tensors[EMBEDDINGS].tobytes()
    assert set(file_tensors) - set(load_file(MLM / "model.safetensors")) == {"vocab_projector.weight"}


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_it_is_read_as_tied(form: str, tmp_path: Path) -> None:
    convert(MLM, tmp_path / "out", to="pt", format=form, materialize_tied=True, max_shard_size="2KB")
    with open_checkpoint(tmp_path / "out") as checkpoint:
        assert checkpoint.tied == {"vocab_projector.weight"}
    difference = diff(MLM, tmp_path / "out")
    assert (difference.equal, difference.tied) == (True, ("vocab_projector.weight",))
    convert(tmp_path / "out", tmp_path / "back", to="pt")
    assert (tmp_path / "back" / "model.safetensors").read_bytes() == (MLM / "model.safetensors").read_bytes()


def test_shards_count_it(tmp_path: Path) -> None:
    convert(MLM, tmp_path / "out", to="pt", materialize_tied=True, max_shard_size="4KB")
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 4 * (3284 + 40 * 12)
    assert "vocab_projector.weight" in index["weight_map"]


def test_it_follows_the_type(tmp_path: Path) -> None:
    convert(MLM, tmp_path / "out", to="pt", materialize_tied=True, dtype="float16")
    assert load_file(tmp_path / "out" / "model.safetensors")["vocab_projector.weight"].dtype == np.float16


def test_an_untied_projector_stays_as_it_is(tmp_path: Path) -> None:
    config = open_checkpoint(MLM).config().updated(tie_word_embeddings=False)
    tensors = read_all(MLM)
    tensors["vocab_projector.weight"] = tensors["embeddings.word_embeddings.weight"] * 2
    save_checkpoint(tmp_path / "a", tensors, config, "ForMaskedLM")
    save_checkpoint(tmp_path / "b", tensors, config, "ForMaskedLM", materialize_tied=True)
    assert (tmp_path / "a" / "model.safetensors").read_bytes() == (tmp_path / "b" / "model.safetensors").read_bytes()
    assert_same(read_all(tmp_path / "b"), tensors)


def test_where_there_is_none(tmp_path: Path) -> None:
    for source, to in ((MLM, "tf"), (MLM, "flax"), (MICRO / "Model" / "pt", "pt")):
        with pytest.raises(UnsupportedFormatError, match="leave materialize-tied out"):
            convert(source, tmp_path / "out", to=to, materialize_tied=True)
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path: Path) -> None:
    assert run("convert", MLM, tmp_path / "out", "--to", "pt", "--materialize-tied").exit_code == 0
    assert "vocab_projector.weight" in load_file(tmp_path / "out" / "model.safetensors")
