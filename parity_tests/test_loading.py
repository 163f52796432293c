"""How weights come to memory and go to files, in several families alike."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from distilbert_cli.frameworks import FRAMEWORKS
from parity_tests.helpers import golden

SOURCE = golden.GOLDEN / "micro" / "ForSequenceClassification" / "pt"
FAMILIES: dict[str, tuple[Callable[[Any], list[np.ndarray]], Callable[[Any], None]]] = {
    "tf": (
        lambda model: [keras.ops.convert_to_numpy(variable) for variable in model.weights],
        lambda kernel: kernel.assign(kernel + 1),
    ),
    "flax": (
        lambda model: [np.array(leaf) for leaf in jax.tree.leaves(model.params)],
        lambda kernel: kernel.set_value(kernel[...] + 1),
    ),
}
"""What returns all values of a model, and what adds 1 to a kernel; PyTorch maps files into memory instead."""


def load(family: str, folder: Path) -> Any:
    return FRAMEWORKS[family].load(folder, "ForSequenceClassification")


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(mine, others) for mine, others in zip(one, other, strict=True))


@pytest.mark.parametrize("folder", ["pt", "pt_bin", "tf_safetensors", "tf_h5", "flax_msgpack"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_is_no_part_of_the_file_that_it_was_loaded_from(family: str, folder: str, tmp_path: Path) -> None:
    values, _ = FAMILIES[family]
    source = Path(shutil.copytree(SOURCE.parent / folder, tmp_path / "model"))
    model = load(family, source)
    before = values(model)
    for file in source.iterdir():
        with file.open("r+b") as opened:  # in its place
            opened.write(bytes(file.stat().st_size))
    assert same(values(model), before)
    shutil.rmtree(source)
    assert same(values(model), before)
    assert same(values(load(family, SOURCE)), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_saving_to_the_folder_that_a_model_was_loaded_from(family: str, tmp_path: Path) -> None:
    values, add_one = FAMILIES[family]
    source = Path(shutil.copytree(SOURCE, tmp_path / "model"))
    model = load(family, source)
    add_one(model.classifier.kernel)
    model.save_pretrained(source, safe_serialization=True)
    assert same(values(load(family, source)), values(model))
    assert not same(values(load(family, source)), values(load(family, SOURCE)))


@pytest.mark.parametrize("safe_serialization", [True, False])
@pytest.mark.parametrize("max_shard_size", [None, 4000])
@pytest.mark.parametrize(
    ("family", "weights", "unsafe_name"),
    [
        ("pt", lambda model: model.state_dict(), "pytorch_model"),
        ("flax", lambda model: flatten_dict(model.params), "flax_model"),
    ],
    ids=["pt", "flax"],
)
def test_what_is_saved_is_loaded(
    family: str,
    weights: Callable[[Any], dict[Any, Any]],
    unsafe_name: str,
    max_shard_size: int | None,
    safe_serialization: bool,
    tmp_path: Path,
) -> None:
    framework = FRAMEWORKS[family]
    model = framework.load(SOURCE.parents[1] / "ForMaskedLM" / "pt", "ForMaskedLM")
    model.save_pretrained(tmp_path, safe_serialization=safe_serialization, max_shard_size=max_shard_size)
    assert (len(list(tmp_path.glob("*.json"))) == 2) == (max_shard_size is not None)
    files = [path.name for path in tmp_path.iterdir() if path.name != "config.json"]
    assert files
    assert all(name.startswith("model" if safe_serialization else unsafe_name) for name in files)
    again = framework.load(tmp_path, "ForMaskedLM")
    stored, loaded = weights(model), weights(again)
    assert stored.keys() == loaded.keys()
    assert all(loaded[name].dtype == value.dtype for name, value in stored.items())
    assert all(np.array_equal(loaded[name], value) for name, value in stored.items())
    assert again.config.architectures == ["DistilBertForMaskedLM"]
    assert again.load_report.ok
