"""A good checkpoint of every dialect and the damaged ones made from it: each has a number, and is always the same."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

from distilbert_conversion import convert
from parity_tests.helpers.checkpoints import MICRO
from parity_tests.helpers.format_boundaries import boundaries
from parity_tests.helpers.hostile_hdf5 import hostile_hdf5
from parity_tests.helpers.hostile_msgpack import hostile_json, hostile_msgpack, hostile_safetensors
from parity_tests.helpers.hostile_pickles import hostile_pickles, hostile_zip
from parity_tests.helpers.mutations import BLIND

_FOLDER = MICRO / "ForMaskedLM"
_HOSTILE: dict[str, Callable[[Random, bytes], bytes]] = {
    "safetensors": hostile_safetensors,
    "zip": hostile_zip,
    "pickles": hostile_pickles,
    "hdf5": hostile_hdf5,
    "msgpack": hostile_msgpack,
    "json": hostile_json,
}


def _read(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((_FOLDER / folder).iterdir())}


def _legacy() -> dict[str, bytes]:
    """Return the golden file as PyTorch wrote it before 1.6."""
    import torch

    files, target = _read("pt_bin"), io.BytesIO()
    tensors = torch.load(io.BytesIO(files["pytorch_model.bin"]), weights_only=True)
    torch.save(tensors, target, _use_new_zipfile_serialization=False)
    return {**files, "pytorch_model.bin": target.getvalue()}


def _converted(**options: str) -> dict[str, bytes]:
    """Return the golden checkpoint in a format that no golden folder has; ours to write."""
    with tempfile.TemporaryDirectory() as folder:
        convert(_FOLDER / "pt", f"{folder}/out", **options)  # type: ignore[arg-type]
        files = sorted(path for path in Path(folder, "out").rglob("*") if path.is_file())
        return {str(path.relative_to(f"{folder}/out")): path.read_bytes() for path in files}


@dataclass(frozen=True)
class Sample:
    """How a good checkpoint is made, and which of its files are damaged.

    Attributes:
        make: Returns the content of its files by name.
        kind: What the damaged files are: a key of `_HOSTILE`.
        ending: How the names of the damaged files end.
    """

    make: Callable[[], dict[str, bytes]]
    kind: str
    ending: str | tuple[str, ...]


SAMPLES: dict[str, Sample] = {
    "pt-safetensors": Sample(lambda: _read("pt"), "safetensors", ".safetensors"),
    "tf-safetensors": Sample(lambda: _read("tf_safetensors"), "safetensors", ".safetensors"),
    "flax-safetensors": Sample(lambda: _read("flax_safetensors"), "safetensors", ".safetensors"),
    "shards": Sample(lambda: _read("pt_sharded"), "safetensors", ".safetensors"),
    "index": Sample(lambda: _read("pt_sharded"), "json", ".index.json"),
    "pt-bin": Sample(lambda: _read("pt_bin"), "zip", ".bin"),
    "pt-bin-legacy": Sample(_legacy, "pickles", ".bin"),
    "tf-h5": Sample(lambda: _read("tf_h5"), "hdf5", ".h5"),
    "keras": Sample(lambda: _converted(to="tf", format="keras", dtype="float16"), "hdf5", ".h5"),
    "keras-hub": Sample(lambda: _converted(to="tf", format="keras-hub"), "json", ".json"),
    "orbax": Sample(lambda: _converted(to="flax", format="orbax"), "json", ("_METADATA", ".zarray")),
    "flax-msgpack": Sample(lambda: _read("flax_msgpack"), "msgpack", ".msgpack"),
    "config": Sample(lambda: _read("pt"), "json", "config.json"),
}
"""The good checkpoints that are damaged."""


@dataclass
class Damage:
    """The damaged checkpoints of one dialect, by number: first the good file cut off everywhere, then all else.

    Attributes:
        dialect: A key of `SAMPLES`.
        seed: Another one makes other damage.
        count: How many; at most half of them are cut off, evenly chosen.
    """

    dialect: str
    seed: int
    count: int
    good: dict[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.sample = SAMPLES[self.dialect]
        self.good = self.sample.make()

    @cached_property
    def boundaries(self) -> dict[str, list[int]]:
        """Where the parts of each file to damage begin."""
        targets = {name: content for name, content in self.good.items() if name.endswith(self.sample.ending)}
        return {name: boundaries(self.sample.kind, content) for name, content in targets.items()}

    @cached_property
    def cuts(self) -> list[tuple[str, int]]:
        """Every file and length to cut it off at: at the start of each part, and a byte before and after."""
        cuts = [
            (name, length)
            for name, starts in self.boundaries.items()
            for length in sorted({start + step for start in starts for step in (-1, 0, 1)})
            if 0 <= length < len(self.good[name])
        ]
        return cuts[:: -(-len(cuts) // (self.count // 2))]

    def case(self, number: int) -> tuple[str, bytes]:
        """Return the name of the file that is damaged, and its new content."""
        if number < len(self.cuts):
            name, length = self.cuts[number]
            return name, self.good[name][:length]
        rng = Random(f"{self.seed}/{self.dialect}/{number}")
        largest = max(self.boundaries, key=lambda name: len(self.good[name]))
        name = rng.choice((largest, rng.choice(list(self.boundaries))))
        content, kind = self.good[name], rng.random()
        with warnings.catch_warnings(action="ignore"):  # zipfile warns of a name that is there twice
            if kind < 0.5:
                content = _HOSTILE[self.sample.kind](rng, content)
        if kind > 0.4:
            content = rng.choice(list(BLIND.values()))(rng, content, self.boundaries[name])
        return name, content
