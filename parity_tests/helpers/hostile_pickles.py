"""Hostile PyTorch files: archives with odd entries, pickles with other instructions."""

from __future__ import annotations

import io
import pickletools
import struct
import zipfile
from collections.abc import Callable
from random import Random

from parity_tests.helpers.mutations import NUMBERS, TEXTS

Entries = list[tuple[str, bytes]]


def _long(value: int) -> bytes:
    size = value.bit_length() // 8 + 1
    return b"\x8b" + struct.pack("<i", size) + value.to_bytes(size, "little", signed=True)


def _text(value: str) -> bytes:
    encoded = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(encoded)) + encoded


GLOBALS = (
    "os\nsystem", "posix\nsystem", "builtins\neval", "builtins\nexec", "__builtin__\neval", "builtins\ngetattr",
    "subprocess\nPopen", "torch\nload", "torch._utils\n_rebuild_tensor_v2", "torch._utils\n_rebuild_parameter",
    "collections\nOrderedDict", "torch\nSize", "torch\nFloatStorage", "torch\nos.system", "\n", "a b\nc",
)  # fmt: skip
"""What a pickle may name."""

INSTRUCTIONS: tuple[Callable[[Random], bytes], ...] = (
    lambda rng: b"c" + rng.choice(GLOBALS).encode() + b"\n",
    lambda rng: b"(" + _text("touch ran") + b"i" + rng.choice(GLOBALS).encode() + b"\n",
    lambda rng: b"".join(map(_text, rng.choice(GLOBALS).split("\n"))) + b"\x93",
    lambda rng: _long(rng.choice(NUMBERS)),
    lambda rng: _long(1 << 20_000),
    lambda rng: _text(rng.choice(TEXTS)),
    lambda rng: b"P" + rng.choice(TEXTS[:8]).encode() + b"\n",
    lambda rng: b"".join(b"q%c0" % i + b"h%c" % i * 3 + b"\x87" for i in range(40)),
    lambda rng: b")" + b"\x85" * 2000,
    lambda rng: b"(" * 20_000 + b"t" * rng.choice((1, 20_000)),
    lambda rng: b"r" + struct.pack("<I", rng.choice((2**31, 2**32 - 1))),
    lambda rng: b"j" + struct.pack("<I", rng.choice((0, 5, 2**32 - 1))),
    lambda rng: b"X\xff\xff\xff\x7f",
    lambda rng: b"\x8e" + struct.pack("<Q", 2**62),
    lambda rng: rng.choice([bytes([code]) for code in b"RQbo\x81\x92012(tsuae"]),
    lambda rng: rng.choice([bytes([code]) for code in b"N}])\x85\x86\x87\x88.\x8f\x90"]),
)  # fmt: skip
"""Instructions that do not belong where they are put."""


def instructions(pickled: bytes) -> list[bytes]:
    """Return a pickle divided into its instructions."""
    starts = [position or 0 for _, _, position in pickletools.genops(pickled)]
    return [pickled[start:end] for start, end in zip(starts, [*starts[1:], len(pickled)], strict=True)]


def hostile_pickle(rng: Random, pickled: bytes) -> bytes:
    """Return a pickle with some instructions added, left out, doubled or moved."""
    try:
        steps = instructions(pickled)
    except ValueError:
        return pickled  # it is hostile already
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(steps))
        match rng.randrange(5):
            case 0:
                steps.insert(at, rng.choice(INSTRUCTIONS)(rng))
            case 1:
                steps[at] = rng.choice(INSTRUCTIONS)(rng)
            case 2:
                steps.insert(at, rng.choice(steps))
            case 3 if len(steps) > 1:
                del steps[at]
            case _:
                steps[at] = rng.choice(steps)
    return b"".join(steps)


def hostile_pickles(rng: Random, content: bytes) -> bytes:
    """Return the old form with one of its five pickles changed, and at times the sizes of its storages."""
    file, pickles = io.BytesIO(content), []
    for _ in range(5):
        start = file.tell()
        for _ in pickletools.genops(file):
            pass
        pickles.append(content[start : file.tell()])
    at = rng.choice((0, 1, 2, 3, 3, 3, 4))
    pickles[at] = hostile_pickle(rng, pickles[at])
    return b"".join(pickles) + content[file.tell() :]


def _changed_pickle(rng: Random, entries: Entries) -> None:
    pickles = [i for i, (name, _) in enumerate(entries) if name.endswith("data.pkl")]
    at = pickles[0] if pickles else 0  # it may have been renamed or taken out before
    entries[at] = (entries[at][0], hostile_pickle(rng, entries[at][1]))


def _renamed(rng: Random, entries: Entries) -> None:
    at = rng.randrange(len(entries))
    root, _, tail = entries[at][0].partition("/")
    names = (
        f"../{tail}",
        f"/{tail}",
        f"{root}/../{tail}",
        f"x/{tail}",
        tail,
        rng.choice(TEXTS).replace("\ud800", "?").replace("\0", "?"),
    )
    entries[at] = (rng.choice(names)[:60_000] or "x", entries[at][1])


def _cut(rng: Random, entries: Entries) -> None:
    at = rng.randrange(len(entries))
    entries[at] = (entries[at][0], entries[at][1][: rng.randint(0, len(entries[at][1]))])


ARCHIVE: tuple[Callable[[Random, Entries], None], ...] = (
    _changed_pickle,
    _changed_pickle,
    _changed_pickle,
    _renamed,
    _cut,
    lambda rng, entries: entries.pop(rng.randrange(len(entries))) and None,
    lambda rng, entries: entries.append((rng.choice(entries)[0], rng.choice(entries)[1])),
    lambda rng, entries: rng.shuffle(entries),
)
"""What is done to an archive's entries."""


def hostile_zip(rng: Random, content: bytes) -> bytes:
    """Return an archive with other entries, or the same ones compressed, encrypted by name only, or with a comment."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    for _ in range(rng.choice((1, 1, 2))):
        if entries:
            rng.choice(ARCHIVE)(rng, entries)
    target = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED,) * 9 + (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
        archive.comment = rng.choice((b"", b"", b"PK\x05\x06" * 20))
    return target.getvalue()
