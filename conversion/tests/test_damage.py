"""Damaged files: cut off anywhere, with any byte changed, of the wrong kind. One clear error, or the right shapes."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import msgpack
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distilbert_common.errors import CheckpointError, DistilBertError
from distilbert_conversion import convert, open_checkpoint, save_checkpoint
from parity_tests.helpers.checkpoints import MICRO, WEIGHTS_FILES, read_all, safetensors_bytes

FOLDER = MICRO / "ForMaskedLM"
CONFIG = (FOLDER / "pt" / "config.json").read_bytes()


def files() -> dict[str, tuple[str, bytes]]:
    """Return name and content of a good file of every kind."""
    originals = {kind: (name, (FOLDER / kind / name).read_bytes()) for kind, name in WEIGHTS_FILES.items()}
    legacy = io.BytesIO()
    torch.save(torch.load(FOLDER / "pt_bin" / "pytorch_model.bin"), legacy, _use_new_zipfile_serialization=False)
    return {**originals, "pt_bin_legacy": ("pytorch_model.bin", legacy.getvalue())}


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    checkpoint = open_checkpoint(FOLDER / "pt")
    folder = tmp_path_factory.mktemp("keras")
    (path,) = save_checkpoint(folder, checkpoint.tensors, checkpoint.config(), "ForMaskedLM", dialect="keras")
    return path.read_bytes()


KINDS = [*files(), "keras"]
FILES = files()


@pytest.fixture
def good(request: pytest.FixtureRequest, keras: bytes) -> tuple[str, bytes]:
    return FILES.get(request.param, ("model.weights.h5", keras))


def written(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_bytes(CONFIG)
    (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("good", KINDS, indirect=True)
@pytest.mark.parametrize("cut_at", [0, 1, 7, 8, 9, 100, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, -100, -1])
def test_cut_off(good: tuple[str, bytes], cut_at: float, tmp_path: Path) -> None:
    name, content = good
    length = int(cut_at * len(content)) if isinstance(cut_at, float) else cut_at % len(content)
    source = written(tmp_path / "source", name, content[:length])
    for to in ("pt", "tf", "flax"):
        with pytest.raises(CheckpointError) as caught:
            convert(source, tmp_path / "out", to=to)
        assert str(source / name) in str(caught.value)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


@pytest.mark.parametrize("good", KINDS, indirect=True)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_bytes(good: tuple[str, bytes], data: st.DataObject, tmp_path: Path) -> None:
    """Wherever bytes change, reading ends in an error on purpose or in tensors of the shapes that were told."""
    name, content = good
    changed = bytearray(content)
    start = data.draw(st.integers(0, min(len(content) - 1, 6000)))
    replacement = data.draw(st.binary(min_size=1, max_size=4))
    changed[start : start + len(replacement)] = replacement
    source = written(tmp_path / "source", name, bytes(changed))
    try:
        with open_checkpoint(source) as checkpoint:
            for tensor in checkpoint.tensors.values():
                array = tensor.read() if tensor.nbytes < 10**6 else np.empty(tensor.shape, tensor.dtype)
                assert (array.shape, array.dtype) == (tensor.shape, tensor.dtype)
    except DistilBertError:
        return


@pytest.mark.parametrize("good", KINDS, indirect=True)
@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"\xff" * 4096, b"<html>404</html>" * 10, b"{}"], ids=repr)
def test_something_else(good: tuple[str, bytes], content: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        open_checkpoint(written(tmp_path, good[0], content))


@pytest.mark.parametrize("good", KINDS, indirect=True)
def test_a_git_lfs_pointer_is_called_one(good: tuple[str, bytes], tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 267954768\n"
    with pytest.raises(CheckpointError, match="git lfs pull"):
        open_checkpoint(written(tmp_path, good[0], pointer))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_under_this_name(kind: str, tmp_path: Path) -> None:
    name = {**{key: value[0] for key, value in FILES.items()}, "keras": "model.weights.h5"}[kind]
    other = FILES["pt_bin" if name.endswith("h5") else "tf_h5"][1]
    with pytest.raises(CheckpointError):
        open_checkpoint(written(tmp_path, name, other))


class TestUnknownTypes:
    """A type that is no weight's is named, in every container."""

    def test_safetensors(self, tmp_path: Path) -> None:
        content = safetensors_bytes({"classifier.bias": np.zeros(2, np.float32)})
        content = content.replace(b'"F32"', b'"C64"').replace(b"[2]", b"[1]")  # as many bytes
        with pytest.raises(CheckpointError, match="has the type C64; expected one of F64, F32"):
            open_checkpoint(written(tmp_path, "model.safetensors", content))

    @pytest.mark.parametrize("dtype", [torch.int8, torch.int64])
    def test_whole_numbers(self, dtype: torch.dtype, tmp_path: Path) -> None:
        tensors = torch.load(FOLDER / "pt_bin" / "pytorch_model.bin")
        tensors["vocab_layer_norm.weight"] = torch.ones(12, dtype=dtype)
        written(tmp_path, "pytorch_model.bin", b"")
        torch.save(tensors, tmp_path / "pytorch_model.bin")
        with pytest.raises(
            CheckpointError, match=r"'vocab_layer_norm.weight' has the type int.*expected one of float64"
        ):
            open_checkpoint(tmp_path)

    def test_torch(self, tmp_path: Path) -> None:
        written(tmp_path, "pytorch_model.bin", b"")
        torch.save({"classifier.weight": torch.zeros(2, 2, dtype=torch.complex64)}, tmp_path / "pytorch_model.bin")
        with pytest.raises(CheckpointError, match="has a ComplexFloatStorage; expected one of DoubleStorage"):
            open_checkpoint(tmp_path)

    @pytest.mark.parametrize("dtype", ["c8", h5py.string_dtype()], ids=["complex", "text"])
    def test_hdf5(self, dtype: object, tmp_path: Path) -> None:
        written(tmp_path, "model.weights.h5", b"")
        with h5py.File(tmp_path / "model.weights.h5", "w") as file:
            file.create_dataset("classifier/vars/0", (2,), dtype)
        with pytest.raises(CheckpointError, match=r"'classifier/vars/0' has the type .* expected one of float64"):
            open_checkpoint(tmp_path)

    @pytest.mark.parametrize("name", ["complex64", "float8_e4m3fn", "V4", "object", ""])
    def test_msgpack(self, name: str, tmp_path: Path) -> None:
        array = msgpack.ExtType(1, msgpack.packb([[2], name, b"\0" * 16]))
        source = written(tmp_path, "flax_model.msgpack", msgpack.packb({"classifier": {"bias": array}}))
        with pytest.raises(CheckpointError, match=rf"the type '{name}' \(expected one of float64"):
            open_checkpoint(source)


MSGPACK = {
    "list": [1, 2],
    "number": {"classifier": {"bias": 3}},
    "text": {"classifier": {"bias": "zero"}},
    "nothing": {"classifier": {"bias": None}},
    "bytes": {"classifier": {"bias": b"1234"}},
    "fraction": {"classifier": {"bias": 0.5}},
    "other extension": {"classifier": {"bias": msgpack.ExtType(2, b"\0" * 8)}},
    "number as a key": {"classifier": {3: msgpack.ExtType(1, msgpack.packb([[1], "float32", b"1234"]))}},
    "wrong size": {"classifier": {"bias": msgpack.ExtType(1, msgpack.packb([[2], "float32", b"1234"]))}},
    "negative size": {"classifier": {"bias": msgpack.ExtType(1, msgpack.packb([[-1, -1], "float32", b"1234"]))}},
    "text as size": {"classifier": {"bias": msgpack.ExtType(1, msgpack.packb([["1"], "float32", b"1234"]))}},
    "chunks without shape": {"classifier": {"bias": {"__msgpack_chunked_array__": True, "chunks": {}}}},
    "no chunks": {"classifier": {"bias": {"__msgpack_chunked_array__": True, "shape": {"0": 2}, "chunks": {}}}},
}


@pytest.mark.parametrize("content", MSGPACK.values(), ids=MSGPACK)
def test_msgpack_of_other_things(content: object, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"flax_model\.msgpack"):
        open_checkpoint(written(tmp_path, "flax_model.msgpack", msgpack.packb(content)))


def test_msgpack_nested_without_end(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nested too deep"):
        open_checkpoint(written(tmp_path, "flax_model.msgpack", b"\x81\xa1a" * 100_000))


def test_msgpack_with_a_key_twice(tmp_path: Path) -> None:
    one = msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb([[1], "float32", b"1234"]))})
    with pytest.raises(CheckpointError, match="the key 'a' twice"):
        open_checkpoint(written(tmp_path, "flax_model.msgpack", b"\x82" + one[1:] + one[1:]))


def test_replacing_a_file_on_disk_does_not_change_an_open_checkpoint(tmp_path: Path) -> None:
    source = written(tmp_path, *FILES["pt"])
    truth = read_all(source)
    with open_checkpoint(source) as checkpoint:
        (source / "other").write_bytes(b"\0" * len(FILES["pt"][1]))
        (source / "other").replace(source / "model.safetensors")
        for name, tensor in checkpoint.tensors.items():
            np.testing.assert_array_equal(tensor.read(), truth[name])
