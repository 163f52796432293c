"""What was written is read again; what a type changes is measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_common.errors import CheckpointError
from distilbert_conversion import FORMATS, LazyTensor, convert, formats, open_checkpoint, save_checkpoint
from parity_tests.helpers.checkpoints import MLM, read_all

PAIRS = [(to, form) for to, forms in FORMATS.items() for form in forms]
Tensors = Mapping[str, LazyTensor]


def bit_flipped(tensors: Tensors) -> Tensors:
    """Flip the last bit of one value of the last tensor."""
    name = list(tensors)[-1]
    array = np.array(tensors[name].read())
    array.view(np.uint8).reshape(-1)[-4] ^= 1
    return {**tensors, name: LazyTensor(array.shape, array.dtype, lambda: array)}


def exchanged(tensors: Tensors) -> Tensors:
    """Exchange two tensors of one shape."""
    names = [name for name in tensors if re.search("q_lin|query", name) and tensors[name].size == 144]
    return {**tensors, **{one: tensors[other] for one, other in zip(names, reversed(names), strict=True)}}


def lost(tensors: Tensors) -> Tensors:
    """Leave one tensor out."""
    return {name: tensor for name, tensor in tensors.items() if not re.search("lin1|intermediate", name)}


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Tensors], Tensors]], None]:
    """Make the writer write something else than it was given."""
    write = formats.write

    def install(change: Callable[[Tensors], Tensors]) -> None:
        def faulty(path: Path, tensors: Tensors, *others: Any) -> None:
            write(path, change(tensors), *others)

        monkeypatch.setattr(formats, "write", faulty)

    return install


@pytest.mark.parametrize(("to", "form"), PAIRS, ids=str)
@pytest.mark.parametrize("change", [bit_flipped, exchanged, lost], ids=lambda change: change.__name__)
def test_a_faulty_writer_is_found(to: str, form: str, change: Any, fault: Any, tmp_path: Path) -> None:
    fault(change)
    with pytest.raises(CheckpointError, match=r"what was written is not what was read: .*came back changed"):
        convert(MLM, tmp_path / "out", to=to, format=form)
    assert list(tmp_path.iterdir()) == []
    assert not convert(MLM, tmp_path / "out", to=to, format=form, verify=False).verified


def test_the_summary_says_it(tmp_path: Path) -> None:
    assert "; verified" in convert(MLM, tmp_path / "a", to="tf", max_shard_size="4KB", format="safetensors").message()
    assert "; not verified" in convert(MLM, tmp_path / "b", to="tf", verify=False).message()


def source(tmp_path: Path, **changed: float) -> Path:
    tensors = read_all(MLM)
    for name, value in changed.items():
        tensors[name.replace("__", ".")][0] = value
    config = open_checkpoint(MLM).config()
    save_checkpoint(tmp_path / "source", tensors, config, "ForMaskedLM")
    config.save_pretrained(tmp_path / "source")
    return tmp_path / "source"


@pytest.mark.parametrize("verify", [True, False])
def test_rounding(verify: bool, tmp_path: Path) -> None:
    weights = source(tmp_path, vocab_transform__bias=1000.2, vocab_layer_norm__bias=1e-9)
    half = convert(weights, tmp_path / "half", to="flax", dtype="float16", verify=verify)
    assert half.rounding is not None
    assert half.rounding.largest == ("vocab_transform.bias", "vocab_layer_norm.bias")
    assert half.rounding.absolute == abs(float(np.float32(1000.2)) - float(np.float16(1000.2)))
    assert half.rounding.relative == 1.0  # 1e-9 is 0 in float16
    assert "; rounded to float16 by at most 0.2 (vocab_transform.bias), relative 1 (" in half.message()
    same = convert(weights, tmp_path / "same", to="flax", dtype="float32", verify=verify)
    assert same.rounding is None
    wide = convert(weights, tmp_path / "wide", to="flax", dtype="float64", verify=verify)
    assert "; float64 holds every value exactly" in wide.message()


def test_rounding_of_bfloat16_is_within_half_a_step(tmp_path: Path) -> None:
    summary = convert(MLM, tmp_path / "out", to="pt", dtype="bfloat16")
    assert summary.rounding is not None
    assert 0 < summary.rounding.relative <= 2**-8  # 8 bits of precision


def test_beyond_the_range_names_tensor_value_and_way_out(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError,
        match=r"^vocab_transform\.bias: the value 70000\.0 is beyond the range of float16; convert to bfloat16",
    ):
        convert(source(tmp_path, vocab_transform__bias=7e4), tmp_path / "out", to="tf", dtype="float16")
    assert not (tmp_path / "out").exists()
