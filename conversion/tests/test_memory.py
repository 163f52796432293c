"""How much memory a conversion takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from distilbert_common import DistilBertConfig
from distilbert_conversion import expected, save_checkpoint

MEMORY = """
import sys
import h5py, msgpack, zipfile
from distilbert_conversion import convert

def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))

base = kilobytes("VmRSS")
convert(sys.argv[1], sys.argv[2], to=sys.argv[3], format=sys.argv[4], dtype=sys.argv[5] or None)
print((kilobytes("VmHWM") - base) * 1024)
"""


@pytest.mark.requires("procfs")
def test_one_tensor_in_memory_at_a_time(tmp_path: Path) -> None:
    """The promise is 1.5 times the largest tensor and 64 MB, whatever the size of the model."""
    config = DistilBertConfig(
        vocab_size=8000, dim=512, hidden_dim=4096, n_heads=8, n_layers=12, tie_word_embeddings=False
    )
    shapes = expected(config, "ForMaskedLM")
    largest = max(4 * int(np.prod(shape)) for shape in shapes.values())
    allowed = 1.5 * largest + 64 * 2**20
    total = sum(4 * int(np.prod(shape)) for shape in shapes.values())
    assert total > 1.5 * allowed, "a conversion that holds the whole model must fail this test"
    zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    save_checkpoint(tmp_path / "source", zeros, config, "ForMaskedLM")
    config.save_pretrained(tmp_path / "source")
    jobs = [("tf", "h5", ""), ("flax", "msgpack", ""), ("pt", "bin", "float16")]
    source = tmp_path / "source"
    for to, form, dtype in jobs:
        target = tmp_path / f"{to}-{form}"
        command = [sys.executable, "-c", MEMORY, str(source), str(target), to, form, dtype]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert int(done.stdout) < allowed, (to, form)
        shutil.rmtree(source)
        source = target


CHUNKS = """
import sys
from pathlib import Path
import numpy as np
from distilbert_conversion.weights.mapped import MappedFile

def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))

tensor = MappedFile(Path(sys.argv[1])).tensor(64, (2**14, 1024), np.dtype(np.float32))
base = kilobytes("VmRSS")
total = sum(float(chunk.sum(dtype=np.float64)) for chunk in tensor.chunks())
print((kilobytes("VmHWM") - base) * 1024, total)
"""


@pytest.mark.requires("procfs")
def test_chunks_of_a_mapped_tensor_leave_memory(tmp_path: Path) -> None:
    """So that two tensors are compared, the source's and the one written, in the memory of neither."""
    (tmp_path / "file").write_bytes(bytes(64) + np.ones(2**24, np.float32).tobytes())
    done = subprocess.run([sys.executable, "-c", CHUNKS, tmp_path / "file"], capture_output=True, text=True, check=True)
    peak, total = done.stdout.split()
    assert float(total) == 2**24
    assert int(peak) < 2**24, "16 MiB, a quarter of the tensor"
