"""Traps that a file can set: telling of far more than it holds, saying one thing twice, leading elsewhere."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import msgpack
import numpy as np
import pytest
import torch

from distilbert_common.errors import CheckpointError
from distilbert_conversion import convert, open_checkpoint
from parity_tests.helpers.checkpoints import MLM

FAR_MORE = r"declares tensors of \d+; expected at most 16 times the file"
NO_ARRAY = "a tensor that no array can hold"
NAME = "classifier/vars/0"


def refused(path: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(path)
    assert str(path) in str(caught.value)


class TestSafetensors:
    def header(self, path: Path, text: str, data: bytes = b"") -> Path:
        encoded = text.encode()
        path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)
        return path

    def test_no_metadata_at_all(self, tmp_path: Path) -> None:
        entry = '"classifier.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
        path = self.header(tmp_path / "model.safetensors", f'{{"__metadata__":null,{entry}}}', b"1234")
        assert open_checkpoint(path).metadata == {}

    def test_a_name_twice(self, tmp_path: Path) -> None:
        entry = '"classifier.bias":{"dtype":"%s","shape":[1],"data_offsets":[0,4]}'
        path = self.header(tmp_path / "model.safetensors", f"{{{entry % 'F32'},{entry % 'I32'}}}", b"1234")
        refused(path, "has a tensor name twice")

    @pytest.mark.parametrize("shape", [[0, 2**62], [2**40, 0, 2**40], [1] * 33])
    def test_shapes_that_no_array_has(self, shape: list[int], tmp_path: Path) -> None:
        data = b"1234" * (0 not in shape)
        entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, len(data)]}
        refused(self.header(tmp_path / "model.safetensors", json.dumps({"classifier.bias": entry}), data), NO_ARRAY)


class TestMessagePack:
    def file(self, path: Path, tree: Any) -> Path:
        path.write_bytes(msgpack.packb(tree))
        return path

    def array(self, shape: list[Any], content: bytes) -> msgpack.ExtType:
        return msgpack.ExtType(1, msgpack.packb([shape, "float32", content]))

    def test_one_path_twice(self, tmp_path: Path) -> None:
        one = self.array([1], b"1234")
        tree = {"classifier": {"bias": one}, "classifier/bias": one}
        refused(self.file(tmp_path / "flax_model.msgpack", tree), "has 'classifier/bias' twice")

    @pytest.mark.parametrize("shape", [{"0": "a", "1": 2**62}, {"0": True}, {"0": [0], "1": 2**40}])
    def test_chunked_arrays_with_odd_sizes(self, shape: dict[str, Any], tmp_path: Path) -> None:
        chunked = {"__msgpack_chunked_array__": True, "shape": shape, "chunks": {"0": self.array([1], b"1234")}}
        path = self.file(tmp_path / "flax_model.msgpack", {"classifier": {"bias": chunked}})
        refused(path, "chunks do not make up its shape")

    def test_bytes_after_an_array(self, tmp_path: Path) -> None:
        one = msgpack.ExtType(1, self.array([1], b"1234").data + b"more")
        refused(self.file(tmp_path / "flax_model.msgpack", {"classifier": {"bias": one}}), r"an array of shape \(1,\)")

    def test_shapes_that_no_array_has(self, tmp_path: Path) -> None:
        tree = {"classifier": {"bias": self.array([0, 2**63], b"")}}
        refused(self.file(tmp_path / "flax_model.msgpack", tree), NO_ARRAY)

    @pytest.mark.parametrize("start", [b"\xdf", b"\x81\xa1a\xdd", b"\xc9", b"\x81\xdb", b"\x81\xa1a\xc6"])
    def test_lengths_that_are_made_up(self, start: bytes, tmp_path: Path) -> None:
        path = tmp_path / "flax_model.msgpack"
        path.write_bytes(start + b"\xff\xff\xff\xff" + b"\x01" * 20)
        refused(path, "cut off|is not a Flax checkpoint")


class TestTorch:
    def test_a_number_repeated_without_end(self, tmp_path: Path) -> None:
        """A stride of zero makes a terabyte of four bytes."""
        torch.save({"classifier.bias": torch.ones(1).expand(2**38)}, tmp_path / "pytorch_model.bin")
        refused(tmp_path / "pytorch_model.bin", FAR_MORE)

    def test_a_stride_that_is_never_taken(self, tmp_path: Path) -> None:
        """An axis of one number may have any stride, as PyTorch itself leaves them."""
        value = torch.arange(3.0).as_strided((1, 3), (2**60, 1))
        torch.save({"classifier.weight": value}, tmp_path / "pytorch_model.bin")
        array = open_checkpoint(tmp_path / "pytorch_model.bin").tensors["classifier.weight"].read()
        np.testing.assert_array_equal(array, [[0, 1, 2]])

    def archive(self, path: Path, change: Callable[[bytearray], None], *, twice: bool = False) -> Path:
        torch.save({"classifier.bias": torch.ones(3)}, path)
        if twice:
            with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr("pytorch_model/data/0", b"\0" * 12)
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)
        return path

    def test_an_entry_twice(self, tmp_path: Path) -> None:
        path = self.archive(tmp_path / "pytorch_model.bin", lambda content: None, twice=True)
        refused(path, "an entry twice, or one larger than the file")

    def test_an_entry_larger_than_the_file(self, tmp_path: Path) -> None:
        def lie(content: bytearray) -> None:
            entry = content.index(b"PK\x01\x02")
            content[entry + 20 : entry + 28] = struct.pack("<II", 2**31 - 1, 2**31 - 1)

        refused(self.archive(tmp_path / "pytorch_model.bin", lie), "an entry twice, or one larger than the file")


class TestHdf5:
    def made(self, path: Path, shape: tuple[int, ...], **options: Any) -> h5py.Dataset:
        with h5py.File(path, "w") as file:
            file.create_dataset(NAME, shape, "f4", **options)
        return path

    @pytest.mark.parametrize(
        "options",
        [{}, {"chunks": (1024,)}, {"chunks": (1024,), "compression": "gzip"}, {"fillvalue": 1.0}],
        ids=["plain", "chunks", "gzip", "filled"],
    )
    def test_values_never_written(self, options: dict[str, Any], tmp_path: Path) -> None:
        path = self.made(tmp_path / "model.weights.h5", (2**40,), **options)
        assert path.stat().st_size < 10_000
        refused(path, FAR_MORE)

    def test_zeros_compressed(self, tmp_path: Path) -> None:
        path = tmp_path / "model.weights.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset(NAME, data=np.zeros(2**23, "f4"), chunks=(2**20,), compression="gzip")
        assert path.stat().st_size < 2**17
        refused(path, FAR_MORE)

    def test_a_chunk_that_unpacks_to_more_than_a_chunk(self, tmp_path: Path) -> None:
        """HDF5 would go on unpacking: 16 MB here, out of 16 kB."""
        path = tmp_path / "model.weights.h5"
        with h5py.File(path, "w") as file:
            dataset = file.create_dataset(NAME, (1024,), "f4", chunks=(1024,), compression="gzip")
            dataset.id.write_direct_chunk((0,), zlib.compress(bytes(2**24), 9))
        refused(path, "a chunk of another size than its others")

    @pytest.mark.parametrize("options", [{"compression": "lzf"}, {"fletcher32": True}, {"scaleoffset": 2}], ids=str)
    def test_other_filters(self, options: dict[str, Any], tmp_path: Path) -> None:
        refused(
            self.made(tmp_path / "model.weights.h5", (1024,), chunks=(64,), **options), "save it without or with gzip"
        )

    def test_compressed_twice(self, tmp_path: Path) -> None:
        """Each time by a thousand."""
        path = tmp_path / "model.weights.h5"
        with h5py.File(path, "w") as file:
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_chunk((1024,))
            for _ in range(2):
                properties.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (9,))
            space = h5py.h5s.create_simple((1024,))
            file.create_group("classifier/vars")
            h5py.h5d.create(file["classifier/vars"].id, b"0", h5py.h5t.NATIVE_FLOAT, space, properties)
        refused(path, "save it without or with gzip")

    def test_links_in_a_circle(self, tmp_path: Path) -> None:
        path = self.made(tmp_path / "model.weights.h5", (2,))
        with h5py.File(path, "r+") as file:
            file["classifier/again"] = file["/"]
            file["classifier/soft"] = h5py.SoftLink("/classifier/soft")
            file["classifier/up"] = h5py.SoftLink("/")
            file["classifier/nowhere"] = h5py.SoftLink("/nowhere")
        with open_checkpoint(path) as checkpoint:
            assert list(checkpoint.file_tensors) == [NAME]


class TestOrbax:
    """Orbax' list of arrays names folders beside it."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        convert(MLM, tmp_path / "orbax", to="flax", format="orbax")
        return tmp_path / "orbax"

    def changed(self, path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
        facts = json.loads(path.read_text())
        change(facts)
        path.write_text(json.dumps(facts))

    @pytest.mark.parametrize("key", ["x" * 300, "\u00e9" * 200, "..", "a/b", "a\\b", "a\0b", ""])
    def test_names_that_are_no_folders(self, key: str, folder: Path) -> None:
        def rename(facts: dict[str, Any]) -> None:
            next(iter(facts["tree_metadata"].values()))["key_metadata"] = [{"key": key, "key_type": 2}]

        self.changed(folder / "_METADATA", rename)
        refused(folder / "_METADATA", "expected plain names")

    def test_a_name_twice(self, folder: Path) -> None:
        def double(facts: dict[str, Any]) -> None:
            facts["tree_metadata"]["again"] = next(iter(facts["tree_metadata"].values()))

        self.changed(folder / "_METADATA", double)
        refused(folder / "_METADATA", "twice")

    def test_chunks_larger_than_the_array(self, folder: Path) -> None:
        """Such a chunk would be made in memory to take a few numbers from it."""
        array = "distilbert.embeddings.LayerNorm.bias/.zarray"
        self.changed(folder / array, lambda fields: fields.update(chunks=[2**36]))
        refused(folder / "_METADATA", "stored in chunks larger than itself")


def test_a_folder_and_other_things_under_the_names_of_weights(tmp_path: Path) -> None:
    """What is no file is not found: a folder, a link to nothing, a device that never ends."""
    for name, target in (("model.safetensors", None), ("tf_model.h5", "nothing"), ("pytorch_model.bin", "/dev/zero")):
        (tmp_path / name).mkdir() if target is None else (tmp_path / name).symlink_to(target)
    refused(tmp_path, "has no weights")
