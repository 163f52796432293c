"""Comparing checkpoints: every kind of difference, found and measured."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from distilbert_common.errors import CheckpointError
from distilbert_conversion import convert, diff, open_checkpoint, save_checkpoint
from distilbert_conversion.diff import STATUSES, deviation
from distilbert_conversion.weights.lazy import lazy
from parity_tests.helpers.checkpoints import MLM, read_all, safetensors_bytes
from parity_tests.helpers.golden import case_id, cases, folders


@pytest.mark.parametrize(("config", "head"), cases(), ids=case_id)
def test_what_transformers_wrote_in_every_dialect_is_equal(config: Path, head: str) -> None:
    golden = folders(config, head)
    for name, folder in golden.items():
        difference = diff(golden["pt"], folder)
        assert difference.equal, name
        assert len(difference.tensors) == len(open_checkpoint(golden["pt"]).tensors)
        if name == "pt_bin" and head == "ForMaskedLM" and "untied" not in config.name:
            assert difference.tied == ("vocab_projector.weight",)


def other(tmp_path: Path, **changed: np.ndarray | None) -> Path:
    """Write the masked-LM checkpoint with some tensors changed, added, or (None) left out."""
    tensors = {name: np.array(tensor.read()) for name, tensor in open_checkpoint(MLM).file_tensors.items()}
    tensors.update({name.replace("__", "."): array for name, array in changed.items()})
    shutil.copytree(MLM, tmp_path / "other")
    present = {name: array for name, array in tensors.items() if array is not None}
    (tmp_path / "other" / "model.safetensors").write_bytes(safetensors_bytes(present))
    return tmp_path / "other"


def test_every_kind_of_difference(tmp_path: Path) -> None:
    bias = read_all(MLM)["vocab_transform.bias"]
    bias[[2, 5]] = 0.5, 2.0
    moved = bias.copy()
    moved[[2, 5]] = 0.75, 3.0
    one = other(tmp_path / "a", vocab_transform__bias=bias, spare=np.zeros(3, np.float32))
    two = other(
        tmp_path / "b",
        vocab_transform__bias=moved,
        vocab_layer_norm__bias=np.zeros(7, np.float32),
        vocab_layer_norm__weight=None,
    )
    difference = diff(one, two)
    entries = {tensor.name: tensor for tensor in difference.tensors if tensor.status != "equal"}
    assert {name: tensor.status for name, tensor in entries.items()} == {
        "spare": "only in A",
        "vocab_layer_norm.bias": "shape",
        "vocab_layer_norm.weight": "only in A",
        "vocab_transform.bias": "values",
    }
    assert (entries["vocab_transform.bias"].absolute, entries["vocab_transform.bias"].relative) == (1.0, 0.5)
    assert entries["vocab_layer_norm.bias"].shapes == ((12,), (7,))
    assert (entries["spare"].shapes, entries["spare"].dtypes) == (((3,), None), ("float32", None))
    assert difference.counts == dict(zip(STATUSES, (38, 1, 0, 1, 2, 0), strict=True))
    assert not difference.equal
    assert diff(two, one).counts["only in B"] == 2


def test_another_type_is_measured(tmp_path: Path) -> None:
    convert(MLM, tmp_path / "half", to="flax", dtype="float16")
    difference = diff(MLM, tmp_path / "half")
    assert difference.counts["type"] == len(difference.tensors) == 41
    source = read_all(MLM)
    for tensor in difference.tensors:
        values = source[tensor.name].astype(np.float64)
        apart = np.abs(values - source[tensor.name].astype(np.float16).astype(np.float64))
        assert tensor.absolute == apart.max()
        assert tensor.relative == (apart / np.abs(values)).max()
        assert tensor.dtypes == ("float32", "float16")


def test_a_large_tensor_is_compared_to_its_last_chunk(tmp_path: Path) -> None:
    config = open_checkpoint(MLM).config().updated(vocab_size=100_000)
    tensors = read_all(MLM)
    tensors["embeddings.word_embeddings.weight"] = table = np.ones((100_000, 12), np.float32)
    tensors["vocab_projector.bias"] = np.zeros(100_000, np.float32)
    for name, value in (("one", 1.0), ("two", 4.0)):
        table[-1, -1] = value
        save_checkpoint(tmp_path / name, tensors, config, "ForMaskedLM")
        config.save_pretrained(tmp_path / name)
    steps: list[tuple[int, int]] = []
    difference = diff(tmp_path / "one", tmp_path / "two", progress=lambda done, total: steps.append((done, total)))
    (entry,) = (tensor for tensor in difference.tensors if tensor.status != "equal")
    assert (entry.name, entry.absolute, entry.relative) == ("embeddings.word_embeddings.weight", 3.0, 3.0)
    assert sum(done for done, _ in steps) == steps[0][1]


def test_numbers_that_are_none() -> None:
    def measured(a: list[float], b: list[float]) -> tuple[float, float]:
        return deviation(lazy(np.array(a, np.float32)), lazy(np.array(b, np.float32)))

    assert measured([math.nan, math.inf, 0.0], [math.nan, math.inf, -0.0]) == (0.0, 0.0)
    assert measured([math.nan, 1.0], [1.0, 1.0]) == (math.inf, 0.0)
    assert measured([math.inf], [-math.inf])[0] == math.inf
    assert measured([1.0], [math.nan]) == (math.inf, math.inf)
    assert measured([0.0], [1.0]) == (1.0, 0.0)
    assert measured([], []) == (0.0, 0.0)


@given(arrays.arrays(np.float32, (3, 4), elements=st.floats(width=32)))
def test_nothing_deviates_from_itself(array: np.ndarray) -> None:
    assert deviation(lazy(array), lazy(array.copy())) == (0.0, 0.0)


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no weights"):
        diff(MLM, tmp_path)
