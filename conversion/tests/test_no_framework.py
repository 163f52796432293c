"""Conversion through every dialect where no framework can be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from parity_tests.helpers.checkpoints import MICRO, assert_same, read_all

BLOCKED = ("torch", "tensorflow", "keras", "tf_keras", "jax", "jaxlib", "flax", "orbax", "transformers")

SCRIPT = """
import sys
from pathlib import Path

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise AssertionError(f"{{name}} was imported")

sys.meta_path.insert(0, Blocker())
from distilbert_conversion import FORMATS, convert

source = Path({source!r})
for to, formats in FORMATS.items():
    for form in formats:
        target = Path({target!r}) / f"{{to}}-{{form}}"
        convert(source, target, to=to, format=form)
        source = target
print(source.name)
"""


def test_every_dialect_without_any_framework(tmp_path: Path) -> None:
    source = MICRO / "ForMaskedLM" / "pt"
    script = SCRIPT.format(blocked=BLOCKED, source=str(source), target=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "flax-orbax"
    for folder in tmp_path.iterdir():
        arrays = read_all(folder)
        arrays.pop("vocab_projector.weight", None)  # tied: PyTorch's own format repeats the embeddings
        assert_same(arrays, read_all(source))


def test_the_blocker_blocks() -> None:
    for name in ("torch", "flax"):
        script = SCRIPT.format(blocked=BLOCKED, source="", target="").partition("from distilbert")[0] + f"import {name}"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert f"AssertionError: {name} was imported" in done.stderr
