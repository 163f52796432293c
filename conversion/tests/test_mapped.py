"""Tensors of which the memory is the reader's own: which are, that they are nobody else's, and that none is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distilbert_conversion import load_weights, open_checkpoint, save_checkpoint
from distilbert_conversion.weights.lazy import LazyTensor, lazy
from distilbert_conversion.weights.mapped import MappedFile
from parity_tests.helpers.checkpoints import MICRO

FLOAT = np.dtype(np.float32)


@pytest.fixture
def file(tmp_path: Path) -> MappedFile:
    """A file of 4096 float32: 0, 1, 2, …"""
    (tmp_path / "file").write_bytes(np.arange(4096, dtype=FLOAT).tobytes())
    return MappedFile(tmp_path / "file")


def test_a_tensor_may_be_kept_and_changed_and_the_file_stays_as_it_is(file: MappedFile) -> None:
    tensor = file.tensor(64, (8, 16), FLOAT, allow_private=True)
    private = tensor.private()
    assert not private.flags.owndata
    private += 1
    np.testing.assert_array_equal(private, np.arange(16, 144).reshape(8, 16) + 1)
    np.testing.assert_array_equal(tensor.read(), private - 1)
    assert file.path.read_bytes() == np.arange(4096, dtype=FLOAT).tobytes()


def test_bytes_are_given_to_one_reader_only(file: MappedFile) -> None:
    first, overlapping, adjacent = (file.tensor(offset, (8,), FLOAT, allow_private=True) for offset in (32, 48, 64))
    assert first.private().flags.writeable
    assert not first.private().flags.writeable, "given away"
    assert not overlapping.private().flags.writeable, "a part of it is given away"
    assert adjacent.private().flags.writeable


NOT_PRIVATE: dict[str, Callable[[MappedFile], LazyTensor]] = {
    "written in its place": lambda file: file.tensor(0, (4, 4), FLOAT),
    "not aligned": lambda file: file.tensor(2, (4, 4), FLOAT, allow_private=True),
    "byte-swapped": lambda file: file.tensor(0, (4, 4), FLOAT.newbyteorder(), allow_private=True),
    "transposed": lambda file: file.tensor(0, (4, 4), FLOAT, allow_private=True).transposed(),
    "empty": lambda file: file.tensor(0, (4, 0), FLOAT, allow_private=True),
}


@pytest.mark.parametrize("name", NOT_PRIVATE)
def test_what_cannot_be_kept_is_as_it_would_be_read(file: MappedFile, name: str) -> None:
    tensor = NOT_PRIVATE[name](file)
    one, other = tensor.private(), tensor.private()
    np.testing.assert_array_equal(one, tensor.read())
    assert not one.flags.writeable or not np.shares_memory(one, other)


def test_a_converted_tensor_is_a_copy(file: MappedFile) -> None:
    half = file.tensor(0, (4, 4), FLOAT, allow_private=True).cast(np.dtype(np.float16)).private()
    np.testing.assert_array_equal(half, np.arange(16).reshape(4, 4))
    assert half.dtype == np.float16


def test_an_array_that_is_given_is_not_given_on(file: MappedFile) -> None:
    array = np.zeros((4, 4), FLOAT)
    assert not lazy(array).private().flags.writeable
    assert array.flags.writeable


def test_one_descriptor_is_open_for_all_tensors_of_a_file(file: MappedFile) -> None:
    before = len(os.listdir("/dev/fd"))
    arrays = [file.tensor(64 * number, (16,), FLOAT, allow_private=True).private() for number in range(100)]
    assert len(os.listdir("/dev/fd")) == before + 1
    assert len(arrays) == 100


def test_changes_to_mapped_weights_are_saved(tmp_path: Path) -> None:
    """Memory that maps a file is let go while it is written, which must not undo what was changed in it."""
    source = open_checkpoint(MICRO / "ForMaskedLM" / "pt")
    config, arrays = source.config(), {}
    load_weights(source, config, "ForMaskedLM", arrays.__setitem__, private=True)
    assert all(array.flags.writeable for array in arrays.values())
    for array in arrays.values():
        array += 1
    save_checkpoint(tmp_path, arrays, config, "ForMaskedLM")
    saved = open_checkpoint(tmp_path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(saved.tensors[name].read(), array)
        np.testing.assert_array_equal(array, source.tensors[name].read() + 1)


def test_changes_in_large_mapped_memory_are_written(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(2**23))
    private = MappedFile(tmp_path / "large").tensor(0, (2**11, 2**10), FLOAT, allow_private=True).private()
    private += 1
    assert all((chunk == 1).all() for chunk in lazy(private).chunks())
    assert (private == 1).all()
