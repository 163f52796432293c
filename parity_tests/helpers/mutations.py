"""Ways to damage any file, given the boundaries of its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

Mutator = Callable[[Random, bytes, Sequence[int]], bytes]
"""Takes a content and the offsets at which its parts begin."""

_EDGES = (0, 7, 8, 15, 16, 31, 32, 62, 63, 64)
NUMBERS = tuple(sorted({sign * 2**bits + more for bits in _EDGES for sign in (1, -1) for more in (-1, 0, 1)}))
"""Whole numbers at the edges of what fields of one to eight bytes hold."""

TEXTS = (
    "", ".", "..", "/", "../x", "/etc/passwd", "a/b", "a\\b", "C:\\x", "\0", "a\0b", "a\nb", "\x1b[31m\x07",
    "[bold]:boom:", "\u202etxt", "\ud800", "\U0010ffff", "x" * 300, "x" * 70_000, "__class__", "__metadata__",
    "__msgpack_chunked_array__", "{}", "%s%n", "nan", "F32", "float32", "distilbert", "config.json",
    "model.safetensors.index.json", "9" * 5000,
)  # fmt: skip
"""Text that means something to a file system, a terminal, a format or Python."""

PIECES = (
    *(text.encode("utf-8", "surrogatepass") for text in TEXTS if len(text) < 1000),
    b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06",  # zip
    b"\x89HDF\r\n\x1a\n", b"OHDR", b"TREE", b"SNOD", b"HEAP", b"GCOL", b"FRHP",  # HDF5
    b"\x80\x02", b"cos\nsystem\n", b"X\x02\x00\x00\x00id", b"\x85R", b"}(", b"u.", b"Q", b"\x93", b"b.",  # pickle
    b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01", b"\x81\xa1a", b"\xc0",  # MessagePack
    b'"F64"', b'"shape":[', b"-1", b"1e999", b"[" * 200, b'{"a":' * 200, b"NaN", b"9" * 5000,  # JSON
)  # fmt: skip
"""Bytes that mean something to one of the formats."""


def spot(rng: Random, content: bytes, boundaries: Sequence[int]) -> int:
    """Return a position, more often one at a boundary than within the numbers."""
    near = rng.choice(boundaries) + rng.randint(-4, 12) if rng.random() < 0.8 else rng.randint(0, len(content))
    return min(max(0, near), len(content))


def number(rng: Random) -> bytes:
    """Return a number of one to eight bytes."""
    width = rng.choice((1, 2, 4, 8))
    value = rng.choice(NUMBERS) if rng.random() < 0.8 else rng.getrandbits(64)
    return (value % 256**width).to_bytes(width, rng.choice(("little", "big")))


def overwritten(content: bytes, start: int, replacement: bytes) -> bytes:
    """Return a content with a piece of it replaced by as many bytes."""
    return content[:start] + replacement + content[start + len(replacement) :]


def _span(rng: Random, content: bytes, boundaries: Sequence[int]) -> tuple[int, int]:
    start = spot(rng, content, boundaries)
    return start, min(len(content), start + rng.choice((1, 2, 4, 8, 16, 64, 512)))


def _cut(rng: Random, content: bytes, boundaries: Sequence[int]) -> bytes:
    return content[: spot(rng, content, boundaries)]


def _bits(rng: Random, content: bytes, boundaries: Sequence[int]) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        changed[min(spot(rng, content, boundaries), len(changed) - 1)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _random(rng: Random, content: bytes, boundaries: Sequence[int]) -> bytes:
    return overwritten(content, spot(rng, content, boundaries), rng.randbytes(rng.randint(1, 8)))


def _lying(rng: Random, content: bytes, boundaries: Sequence[int]) -> bytes:
    for _ in range(rng.choice((1, 1, 2, 3))):
        content = overwritten(content, spot(rng, content, boundaries), number(rng))
    return content


def _put_over(rng: Random, content: bytes, boundaries: Sequence[int]) -> bytes:
    return overwritten(content, spot(rng, content, boundaries), rng.choice(PIECES))


def _put_in(rng: Random, content: bytes, boundaries: Sequence[int]) -> bytes:
    start = spot(rng, content, boundaries)
    return content[:start] + rng.choice(PIECES) + content[start:]


def _moved(rng: Random, content: bytes, boundaries: Sequence[int]) -> bytes:
    start, end = _span(rng, content, boundaries)
    return overwritten(content, spot(rng, content, boundaries), content[start:end])


def _left_out(rng: Random, content: bytes, boundaries: Sequence[int]) -> bytes:
    start, end = _span(rng, content, boundaries)
    return content[:start] + content[end:]


def _twice(rng: Random, content: bytes, boundaries: Sequence[int]) -> bytes:
    start, end = _span(rng, content, boundaries)
    return content[:end] + content[start:]


def _blank(rng: Random, content: bytes, boundaries: Sequence[int]) -> bytes:
    start, end = _span(rng, content, boundaries)
    return overwritten(content, start, rng.choice((b"\0", b"\xff", b" ")) * (end - start))


def _more(rng: Random, content: bytes, _: Sequence[int]) -> bytes:
    return content + rng.choice((rng.choice(PIECES), rng.randbytes(64), content))


BLIND: dict[str, Mutator] = {
    "cut off": _cut,
    "changed bits": _bits,
    "random bytes": _random,
    "lying numbers": _lying,
    "a piece put over": _put_over,
    "a piece put in": _put_in,
    "something moved": _moved,
    "something left out": _left_out,
    "something twice": _twice,
    "something blank": _blank,
    "more at the end": _more,
}
"""Damage that fits any file."""
