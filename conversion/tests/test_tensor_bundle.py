"""TensorFlow's own checkpoints, as Google published BERT: written here by TensorFlow, read without it."""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from distilbert_common.errors import CheckpointError, DistilBertError
from distilbert_conversion import convert, open_checkpoint
from parity_tests.helpers.checkpoints import assert_same, read_all
from parity_tests.helpers.golden import GOLDEN

BERT = GOLDEN.parent / "bert"
NAME = "bert_model.ckpt"


def google_name(name: str) -> str:
    """Return Google's name of a PyTorch parameter."""
    name = name.replace("cls.predictions.bias", "cls/predictions/output_bias").replace(".", "/")
    name = name.replace("layer/", "layer_").replace("_embeddings/weight", "_embeddings")
    name = re.sub(
        r"LayerNorm/(weight|bias)", lambda match: f"LayerNorm/{'gamma' if match[1] == 'weight' else 'beta'}", name
    )
    return name.replace("/weight", "/kernel")


def save(prefix: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write a checkpoint with TensorFlow."""
    import tensorflow as tf

    names = sorted(tensors)
    values = [tf.constant(tensors[name]) for name in names]
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=values)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Google's folder of the golden BERT, with the state of its optimizer."""
    folder = tmp_path_factory.mktemp("uncased_L-4")
    tensors = {}
    for name, array in load_file(BERT / "pt" / "model.safetensors").items():
        google = google_name(name if name.startswith(("bert.", "cls.")) else f"bert.{name}")
        value = np.ascontiguousarray(array.T) if google.endswith("kernel") else array
        tensors |= {google: value, f"{google}/adam_m": np.zeros_like(value)}
    save(folder / NAME, {**tensors, "global_step": np.int64(7)})
    fields = json.loads((BERT / "pt" / "config.json").read_text())
    (folder / "bert_config.json").write_text(json.dumps({k: v for k, v in fields.items() if k != "model_type"}))
    return folder


def test_it_equals_the_pytorch_file(folder: Path) -> None:
    expected = read_all(open_checkpoint(BERT / "pt", fold_token_type=True))
    assert_same(read_all(open_checkpoint(folder / NAME, fold_token_type=True)), expected)  # TensorFlow's name of it
    with open_checkpoint(folder, fold_token_type=True) as checkpoint:
        assert not checkpoint.extras
        assert_same(read_all(checkpoint), expected)
        assert checkpoint.config().dim == open_checkpoint(BERT / "pt", fold_token_type=True).config().dim
    with open_checkpoint(folder / f"{NAME}.index", fold_token_type=True) as named:
        assert_same(read_all(named), expected)


def test_it_converts(folder: Path, tmp_path: Path) -> None:
    convert(folder, tmp_path / "out", to="pt", layers=[0, 3])
    convert(BERT / "pt", tmp_path / "other", to="pt", layers=[0, 3])
    assert_same(read_all(tmp_path / "out"), read_all(tmp_path / "other"))


def test_a_missing_data_file_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / f"{NAME}.index", tmp_path)
    with pytest.raises(CheckpointError, match=r"not there: bert_model\.ckpt\.data-00000-of-00001; fetch it too"):
        open_checkpoint(tmp_path, fold_token_type=True)


def test_damage_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    """Bytes of the index changed or cut off: an error of ours, or tensors; nothing else is raised or written."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    index = tmp_path / f"{NAME}.index"
    content, random = index.read_bytes(), np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(content[: random.integers(len(content)) if random.random() < 0.3 else None])
        for position in random.integers(len(damaged) or 1, size=3 if damaged else 0):
            damaged[position] = random.integers(256)
        index.write_bytes(bytes(damaged))
        with suppress(DistilBertError):
            read_all(open_checkpoint(tmp_path, fold_token_type=True))
    assert sorted(os.listdir(tmp_path)) == sorted(os.listdir(folder))
