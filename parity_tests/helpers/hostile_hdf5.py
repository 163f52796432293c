"""Hostile HDF5 files: links, bombs and types that no checkpoint has."""

from __future__ import annotations

import io
from collections.abc import Callable
from random import Random

import h5py
import numpy as np

from parity_tests.helpers.mutations import TEXTS

SHAPES = ((0,), (), (2**40,), (2**31, 2**31), (2**20, 2**20), (0, 2**62), (1,) * 32, (40, 12), (12,), (2**28,))


def _names(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


def _sets(file: h5py.File) -> list[str]:
    return [name for name in _names(file) if isinstance(file[name], h5py.Dataset)]


def _link(rng: Random) -> h5py.SoftLink | h5py.ExternalLink:
    where = rng.choice(("/", "/distilbert", "/nowhere", "..", ".", "/link", "\0" * 3 + "x"))
    files = ("/etc/passwd", "tf_model.h5", "../tf_model.h5", "nowhere.h5", "/dev/zero")
    return h5py.ExternalLink(rng.choice(files), where) if rng.random() < 0.5 else h5py.SoftLink(where)


def _soft_or_external(rng: Random, file: h5py.File) -> None:
    name = rng.choice((*_names(file), "link", "layers/link", "a/b/link"))
    if name in file:
        del file[name]
    file[name] = _link(rng)


def _cycle(rng: Random, file: h5py.File) -> None:
    groups = ["/", *(name for name in _names(file) if isinstance(file[name], h5py.Group))]
    file[rng.choice(groups)]["again"] = file[rng.choice(groups)]


def _same_set_twice(rng: Random, file: h5py.File) -> None:
    file[rng.choice(("twice", "a/vars/0", "layers/x/vars/0"))] = file[rng.choice(_sets(file))]


def _put(file: h5py.File, name: str, shape: tuple[int, ...], **options: object) -> None:
    del file[name]
    file.create_dataset(name, shape, **options)


def _bomb(rng: Random, file: h5py.File) -> None:
    filters = (
        {"compression": "gzip"},
        {"compression": "lzf"},
        {"shuffle": True},
        {"fletcher32": True},
        {"fillvalue": 1.0},
    )
    shape = rng.choice([shape for shape in SHAPES if shape and 0 not in shape])
    chunks = tuple(min(size, 64) if len(shape) < 3 else 1 for size in shape)
    _put(file, rng.choice(_sets(file)), shape, dtype="f4", chunks=chunks, **rng.choice(filters))


def _written_bomb(rng: Random, file: h5py.File) -> None:
    name = rng.choice(_sets(file))
    _put(file, name, (2**23,), dtype="f4", chunks=(2**16,), compression="gzip", compression_opts=1)
    file[name][: 2**17] = 0


def _never_written(rng: Random, file: h5py.File) -> None:
    _put(file, rng.choice(_sets(file)), rng.choice(SHAPES), dtype=rng.choice(("f4", "f8", "f2", "i1", "V2", ">f4")))


def _other_type(rng: Random, file: h5py.File) -> None:
    types = (
        h5py.string_dtype(), "S8", "c8", "V16", "V2", h5py.ref_dtype, h5py.vlen_dtype("f4"), "i8", "?", ">f4",
        "f2", np.dtype([("a", "f4"), ("b", "f4")]), np.dtype(("f4", (3,))), h5py.enum_dtype({"A": 1}), "u1",
    )  # fmt: skip
    name = rng.choice(_sets(file))
    _put(file, name, file[name].shape, dtype=rng.choice(types))


def _virtual(rng: Random, file: h5py.File) -> None:
    name = rng.choice(_sets(file))
    shape = file[name].shape
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource(rng.choice(("/etc/passwd", ".", "other.h5")), "x", shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


def _external_storage(rng: Random, file: h5py.File) -> None:
    name = rng.choice(_sets(file))
    where = rng.choice(("/etc/passwd", "/dev/zero", "config.json"))
    _put(file, name, file[name].shape, dtype="f4", external=[(where, 0, h5py.h5f.UNLIMITED)])


def _attribute(rng: Random, file: h5py.File) -> None:
    place = file[rng.choice(("/", *_names(file)))]
    values = (
        *TEXTS[:9],
        3,
        b"\xff\xfe",
        [1, 2],
        ["a", "b"],
        np.zeros((2, 2)),
        h5py.Empty("f4"),
        "bfloat16",
        "layers/x",
    )
    value = rng.choice(values)
    name = rng.choice(("layer_names", "layer_names0", "weight_names", "name", "dtype", "x"))
    place.attrs[name] = value.replace("\0", "?").replace("\ud800", "?") if isinstance(value, str) else value


def _removed(rng: Random, file: h5py.File) -> None:
    del file[rng.choice(_names(file))]


def _renamed(rng: Random, file: h5py.File) -> None:
    names = _names(file)
    target = rng.choice((f"{rng.choice(names)}/x", "layers/a/vars/0", "\x1b[31m", "a\nb", "\u202e", "x" * 300))
    if target not in file:
        file.move(rng.choice(names), target)


def _deep(rng: Random, file: h5py.File) -> None:
    file["/".join(["deep"] * 300)] = np.zeros(2, "f4")


EDITS: tuple[Callable[[Random, h5py.File], None], ...] = (
    _soft_or_external,
    _cycle,
    _same_set_twice,
    _bomb,
    _written_bomb,
    _never_written,
    _other_type,
    _virtual,
    _external_storage,
    _attribute,
    _removed,
    _renamed,
    _deep,
)
"""What is done to a file."""


def hostile_hdf5(rng: Random, content: bytes) -> bytes:
    """Return an HDF5 file with one or two of the edits."""
    memory = io.BytesIO(content)
    with h5py.File(memory, "r+") as file:
        for _ in range(rng.choice((1, 1, 2))):
            try:
                rng.choice(EDITS)(rng, file)
            except (ValueError, OSError, RuntimeError, KeyError, IndexError, TypeError):
                continue  # what the library itself cannot write is no danger
    return memory.getvalue()
