"""Saving: sizes of shards, files of earlier saves, wrong weights, and frameworks that read what was written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import flax.serialization
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert_common.errors import CheckpointError
from distilbert_conversion import DIALECTS, open_checkpoint, save_checkpoint
from distilbert_conversion.formats import msgpack_file
from distilbert_conversion.output.sharding import parse_size, split
from parity_tests.helpers.checkpoints import MICRO, MLM, assert_same, read_all

CONFIG = open_checkpoint(MLM).config()
TENSORS = read_all(MLM)
SHARDABLE = [name for name in DIALECTS if not name.startswith("keras") and name != "flax-orbax"]


def save(folder: Path, dialect: str, **options: object) -> list[str]:
    return [path.name for path in save_checkpoint(folder, TENSORS, CONFIG, "ForMaskedLM", dialect=dialect, **options)]


@pytest.mark.parametrize("dialect", SHARDABLE)
def test_shards_and_their_index(dialect: str, tmp_path: Path) -> None:
    *shards, index = save(tmp_path, dialect, max_shard_size=4000)
    kind = DIALECTS[dialect]
    assert shards == [kind.shard(number, len(shards)) for number in range(1, len(shards) + 1)]
    assert index == kind.index()
    content = json.loads((tmp_path / index).read_text())
    assert content["metadata"]["total_size"] == 13136
    for shard in shards:
        file_tensors = open_checkpoint(tmp_path / shard).file_tensors
        assert {name for name, file in content["weight_map"].items() if file == shard} == set(file_tensors)
        sizes = {name: tensor.nbytes for name, tensor in file_tensors.items() if name != "vocab_projector.weight"}
        assert sum(sizes.values()) <= 4000
    arrays = read_all(tmp_path)
    arrays.pop("vocab_projector.weight", None)
    assert_same(arrays, TENSORS)


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(1, 60))
def test_splitting(nbytes: list[int], limit: int) -> None:
    sizes = {str(number): size for number, size in enumerate(nbytes)}
    shards = split(sizes, limit)
    assert sorted(name for shard in shards for name in shard) == sorted(sizes)
    for shard in shards:
        assert shard
        assert len(shard) == 1 or sum(sizes[name] for name in shard) <= limit
    ordered = [[name for name in sizes if name in shard] for shard in shards]
    assert shards == ordered


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 * 10**9), ("1.5 MB", 1_500_000), ("7kb", 7000), ("1GiB", 2**30), ("3KiB", 3072), ("12", 12), (12, 12)],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("dialect", SHARDABLE)
def test_an_earlier_save_does_not_shine_through(dialect: str, tmp_path: Path) -> None:
    """One file over shards, shards over one file, few over many: only the last save's files are left."""
    (tmp_path / "model-notes.txt").write_text("mine")
    for size in (None, 4000, 1000, 4000, None):
        names = save(tmp_path, dialect, max_shard_size=size)
        assert {path.name for path in tmp_path.iterdir()} == {*names, "model-notes.txt"}
        arrays = read_all(tmp_path)
        arrays.pop("vocab_projector.weight", None)
        assert_same(arrays, TENSORS)


def test_a_failure_leaves_an_earlier_save_alone(tmp_path: Path) -> None:
    names = save(tmp_path, "pt-safetensors", max_shard_size=4000)
    before = {name: (tmp_path / name).read_bytes() for name in names}
    bad = {**TENSORS, "vocab_transform.weight": np.full((12, 12), 1e30, np.float32)}
    with pytest.raises(CheckpointError, match="beyond the range of float16"):
        save_checkpoint(tmp_path, bad, CONFIG, "ForMaskedLM", max_shard_size=4000, dtype="float16")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_all_faults_are_listed(tmp_path: Path) -> None:
    bad = {
        **TENSORS,
        "embeddings.LayerNorm.bias": np.zeros(3, np.float32),
        "vocab_transform.bias": np.zeros(12, np.int64),
    }
    del bad["vocab_projector.bias"]
    with pytest.raises(
        CheckpointError,
        match=r"not a DistilBertForMaskedLM of this config: embeddings\.LayerNorm\.bias is \(3,\), expected \(12,\); "
        r"vocab_projector\.bias is missing; vocab_transform\.bias has the type int64, expected one of float64, ",
    ):
        save_checkpoint(tmp_path / "out", bad, CONFIG, "ForMaskedLM")
    assert not (tmp_path / "out").exists()
    with pytest.raises(CheckpointError, match="'onnx'; expected one of pt-safetensors, "):
        save_checkpoint(tmp_path / "out", TENSORS, CONFIG, "ForMaskedLM", dialect="onnx")


def test_given_arrays_are_not_changed(tmp_path: Path) -> None:
    arrays = {name: array.copy(order="F") for name, array in TENSORS.items()}
    for dialect in DIALECTS:
        save_checkpoint(tmp_path, arrays, CONFIG, "ForMaskedLM", dialect=dialect, dtype="float16")
    assert_same(arrays, TENSORS)


@pytest.mark.parametrize("limit", [2**30, 100])
def test_flax_reads_and_writes_the_same_bytes(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flax writes arrays in chunks above 2^30 bytes; the limit is lowered in both so that a small array is chunked."""
    monkeypatch.setattr(msgpack_file, "MAX_CHUNK", limit)
    monkeypatch.setattr(flax.serialization, "MAX_CHUNK_SIZE", limit)
    save(tmp_path, "flax-msgpack")
    content = (tmp_path / "flax_model.msgpack").read_bytes()
    tree = flax.serialization.msgpack_restore(content)
    kernel = tree["distilbert"]["transformer"]["layer"]["1"]["ffn"]["lin1"]["kernel"]
    np.testing.assert_array_equal(kernel, TENSORS["transformer.layer.1.ffn.lin1.weight"].T)
    assert flax.serialization.msgpack_serialize(tree) == content
    assert_same(read_all(tmp_path), TENSORS)


KERAS = """
import sys
import keras
import numpy as np

layers = keras.layers

class Holder(layers.Layer):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)

class TransformerBlock(Holder):
    pass

class Bias(layers.Layer):
    def build(self, shape):
        self.bias = self.add_weight(shape=(shape,), name="bias")

def built(layer, shape):
    layer.build(shape)
    return layer

def norm(name):
    return built(layers.LayerNormalization(name=name), (None, 12))

def dense(name, fan_in, fan_out):
    return built(layers.Dense(fan_out, name=name), (None, fan_in))

def block():
    names = ("q_lin", "k_lin", "v_lin", "out_lin")
    attention = Holder(**{name: dense(name, 12, 12) for name in names}, dropout=layers.Dropout(0.1))
    ffn = Holder(lin1=dense("lin1", 12, 20), lin2=dense("lin2", 20, 12), dropout=layers.Dropout(0.1))
    return TransformerBlock(
        attention=attention, sa_layer_norm=norm("sa_layer_norm"), ffn=ffn, output_layer_norm=norm("output_layer_norm")
    )

class Model(keras.Model):
    def __init__(self):
        super().__init__()
        self.distilbert = Holder(
            embeddings=Holder(
                word_embeddings=built(layers.Embedding(40, 12), None),
                position_embeddings=built(layers.Embedding(16, 12), None),
                LayerNorm=norm("LayerNorm"),
                dropout=layers.Dropout(0.1),
            ),
            transformer=Holder(layer=[block(), block()]),
        )
        self.vocab_transform = dense("vocab_transform", 12, 12)
        self.vocab_layer_norm = norm("vocab_layer_norm")
        self.vocab_projector = built(Bias(name="vocab_projector"), 40)

for dtype in sys.argv[2:]:
    keras.config.set_dtype_policy(dtype)
    model = Model()
    model.built = True
    model.load_weights(f"{sys.argv[1]}/{dtype}/model.weights.h5")
    model.save_weights(f"{sys.argv[1]}/{dtype}/again.weights.h5")
"""


def test_keras_reads_and_writes_the_same_weights(tmp_path: Path) -> None:
    """Keras 3 itself loads the file by attribute paths; what it saves again, heads under `layers`, is read."""
    dtypes = ("float32", "float16", "bfloat16")
    for dtype in dtypes:
        save(tmp_path / dtype, "keras", dtype=dtype)
    environment = {**os.environ, "KERAS_BACKEND": "torch"}  # the backend that starts fastest
    command = [sys.executable, "-c", KERAS, str(tmp_path), *dtypes]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    for dtype in dtypes:
        with open_checkpoint(tmp_path / dtype / "again.weights.h5") as checkpoint:
            assert (checkpoint.dialect, checkpoint.dtype) == ("keras", dtype)
            assert not checkpoint.extras
            assert_same(read_all(checkpoint), read_all(tmp_path / dtype / "model.weights.h5"))


def test_the_files_of_all_heads_have_transformers_names(tmp_path: Path) -> None:
    names = {dialect: save(tmp_path / dialect, dialect) for dialect in DIALECTS}
    for dialect, folder in (("pt-bin", "pt_bin"), ("tf-h5", "tf_h5"), ("flax-msgpack", "flax_msgpack")):
        assert [*names[dialect], "config.json"] == sorted(
            (path.name for path in (MICRO / "ForMaskedLM" / folder).iterdir()), key=lambda name: name == "config.json"
        )
