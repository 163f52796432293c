"""Files that are well-formed and say anything at all: an error on purpose, or tensors that can be read."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distilbert_common import DistilBertConfig
from distilbert_common.errors import DistilBertError
from distilbert_conversion import open_checkpoint
from distilbert_conversion.formats import torch_file
from distilbert_conversion.formats.torch_pickle import STORAGES
from parity_tests.helpers.checkpoints import MLM
from parity_tests.helpers.hostile_pickles import INSTRUCTIONS
from parity_tests.helpers.mutations import NUMBERS, TEXTS

NAMES = st.sampled_from(["distilbert.embeddings.LayerNorm.bias", "classifier.bias", "distilbert", "bias", *TEXTS])
SIZES = st.integers(0, 4) | st.sampled_from(NUMBERS)
TYPES = st.sampled_from(["F32", "F64", "BF16", "BOOL", "float32", "bfloat16", "bool", "uint32", "V4", ""])
ANYTHING = st.recursive(
    st.none() | st.booleans() | SIZES | st.floats() | st.sampled_from(TEXTS),
    lambda leaves: st.lists(leaves, max_size=4) | st.dictionaries(NAMES, leaves, max_size=4),
    max_leaves=12,
)
EXAMPLES = int(os.environ.get("DISTILBERT_FUZZ", "2000")) // 10
CHECK = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("structures")


def read(folder: Path, name: str, content: bytes) -> int:
    """Read a file in every way; return how many tensors it has, or -1 where it is refused."""
    (folder / name).write_bytes(content)
    try:
        with open_checkpoint(folder / name) as checkpoint:
            for tensor in checkpoint.file_tensors.values():
                assert tensor.read().shape == tensor.shape
                assert sum(chunk.nbytes for chunk in tensor.chunks()) == tensor.nbytes
            return len(checkpoint.file_tensors) + len(checkpoint.tied)
    except DistilBertError:
        return -1


ENTRY = st.fixed_dictionaries(
    {"dtype": TYPES, "shape": st.lists(SIZES, max_size=4), "data_offsets": st.tuples(SIZES, SIZES)}
)


@CHECK
@given(header=st.dictionaries(NAMES, ENTRY | ANYTHING, max_size=4), size=st.integers(0, 40))
def test_safetensors(folder: Path, header: dict[str, Any], size: int) -> None:
    text = json.dumps(header).encode()
    read(folder, "model.safetensors", struct.pack("<Q", len(text)) + text + b"\1" * size)


def array(shape: list[int], dtype: str, content: bytes) -> msgpack.ExtType:
    return msgpack.ExtType(1, msgpack.packb([shape, dtype, content]))


SMALL = st.integers(0, 4) | st.sampled_from([number for number in NUMBERS if -(2**63) <= number < 2**64])
ARRAYS = st.builds(array, st.lists(SMALL, max_size=4), TYPES, st.binary(max_size=16))
DIVIDED = st.fixed_dictionaries(
    {
        "__msgpack_chunked_array__": st.booleans(),
        "shape": st.dictionaries(st.sampled_from("012"), SMALL | ARRAYS | st.sampled_from(["a", [0]]), max_size=3),
        "chunks": st.dictionaries(st.sampled_from("012"), ARRAYS, max_size=3) | ARRAYS,
    }
)
TREES = st.recursive(
    ARRAYS | DIVIDED | st.none() | SMALL,
    lambda leaves: st.dictionaries(NAMES | st.text(max_size=3), leaves, max_size=4),
)


@CHECK
@given(tree=TREES)
def test_msgpack(folder: Path, tree: Any) -> None:
    read(folder, "flax_model.msgpack", msgpack.packb(tree, unicode_errors="surrogatepass"))


def integer(number: int) -> bytes:
    return b"\x8a" + bytes([9]) + (number % 2**72).to_bytes(9, "little")


def tensor(key: int, kind: str, size: int, offset: int, shape: list[int], strides: list[int]) -> bytes:
    """Return the instructions that rebuild a tensor."""
    storage = b"(X\x07\0\0\0storagectorch\n%b\nX\x01\0\0\0%dX\x03\0\0\0cpu%bt" % (kind.encode(), key, integer(size))
    sizes, steps = (b"(" + b"".join(map(integer, numbers)) + b"t" for numbers in (shape, strides))
    arguments = storage + b"Q" + integer(offset) + sizes + steps + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


TENSORS = st.builds(
    tensor, st.integers(0, 2), st.sampled_from([*STORAGES, "x"]), SIZES, SIZES,
    st.lists(SIZES, max_size=3), st.lists(SIZES, max_size=3),
)  # fmt: skip
ODD = st.builds(lambda make, seed: make(Random(seed)), st.sampled_from(INSTRUCTIONS), st.integers(0, 99))


def torch_file_of(values: list[bytes], *, zipped: bool) -> bytes:
    """Return a PyTorch file with two storages of 16 bytes, and the values that the instructions make."""
    pairs = b"".join(b"X\x0f\0\0\0classifier.bia%d" % number + value for number, value in enumerate(values))
    pickled = b"\x80\x02}(" + pairs + b"u."
    if zipped:
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w") as archive:
            archive.writestr("x/data.pkl", pickled)
            for key in range(2):
                archive.writestr(f"x/data/{key}", bytes(range(16)))
        return memory.getvalue()
    start = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}X\r\0\0\0little_endian\x88s."
    storages = b"".join(struct.pack("<q", 4) + bytes(range(16)) for _ in range(2))
    return start + pickled + b"\x80\x02](X\x01\0\0\x000X\x01\0\0\x001e." + storages


@CHECK
@given(values=st.lists(TENSORS | ODD, max_size=4), zipped=st.booleans())
def test_pickles(folder: Path, values: list[bytes], zipped: bool) -> None:
    read(folder, "pytorch_model.bin", torch_file_of(values, zipped=zipped))


@pytest.mark.parametrize("zipped", [True, False])
def test_what_the_pickles_are_made_of_is_right(zipped: bool, tmp_path: Path) -> None:
    """Else the test above would see everything refused for one and the same reason."""
    good = [tensor(key, "FloatStorage", 4, 1, [2], [1]) for key in (0, 1)]
    (tmp_path / "x.bin").write_bytes(torch_file_of(good, zipped=zipped))
    file_tensors = torch_file.read(tmp_path / "x.bin")
    assert [value.read().tobytes() for value in file_tensors.values()] == [bytes(range(4, 12))] * 2


FIELDS = sorted(set(DistilBertConfig().to_dict()) | {"num_labels", "torch_dtype", "hidden_size", "self", "__class__"})


@CHECK
@given(fields=st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=3))
def test_configs(fields: dict[str, Any]) -> None:
    try:
        DistilBertConfig.from_dict({**json.loads((MLM / "config.json").read_text()), **fields}).to_json_string()
    except DistilBertError:
        return


@CHECK
@given(weight_map=st.dictionaries(NAMES, NAMES | ANYTHING, min_size=1, max_size=4))
def test_indices(folder: Path, weight_map: dict[str, Any]) -> None:
    assert read(folder, "model.safetensors.index.json", json.dumps({"weight_map": weight_map}).encode()) == -1
