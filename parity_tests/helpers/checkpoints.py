"""Reading and comparing checkpoints in tests."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_conversion import Checkpoint, open_checkpoint
from parity_tests.helpers.golden import GOLDEN

MICRO = GOLDEN / "micro"
MLM = MICRO / "ForMaskedLM" / "pt"
"""The checkpoint with the most kinds of weights."""

WEIGHTS_FILES = {
    "pt": "model.safetensors",
    "pt_bin": "pytorch_model.bin",
    "tf_h5": "tf_model.h5",
    "tf_safetensors": "model.safetensors",
    "flax_msgpack": "flax_model.msgpack",
    "flax_safetensors": "model.safetensors",
}
"""The golden folders with one weights file, and its name."""


def read_all(source: Path | Checkpoint) -> dict[str, np.ndarray]:
    """Read every weight of a checkpoint by bare canonical name."""
    checkpoint = source if isinstance(source, Checkpoint) else open_checkpoint(source)
    return {name: np.array(tensor.read()) for name, tensor in checkpoint.tensors.items()}


def assert_same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> None:
    """Assert the same names, shapes, types and bits."""
    assert sorted(one) == sorted(other)
    for name, array in one.items():
        assert (array.shape, array.dtype) == (other[name].shape, other[name].dtype), name
        assert array.tobytes() == other[name].tobytes(), name


def safetensors_bytes(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return a safetensors file with any names, float32, written without the code under test."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    offset = 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(array.astype("<f4").tobytes() for array in tensors.values())
