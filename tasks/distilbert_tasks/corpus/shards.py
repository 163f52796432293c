"""The files of a corpus: tokens and sizes of some million tokens each, which are there whole or not at all.

`shard-00000.tokens.npy` and `shard-00000.sizes.npy` are arrays that are mapped into memory; `shard-00000.json`, which
is written last, says what is in them and of which texts. A kill at any moment leaves the shards before.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import accumulate, count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.errors import UnreadableFileError
from distilbert_common.files import read_json, replacing, write_text

__all__ = ["Shard", "ShardedTokens", "Statistics", "map_shard", "read_shards", "remove_others", "write_shard"]


@dataclass(frozen=True)
class Statistics:
    """What became of texts.

    Attributes:
        documents: Texts read.
        duplicates: How many of these were left out as they occurred before.
        sequences: Token lists made of the others.
        tokens: The tokens in these, special tokens included.
        short: Token lists left out because they have too few tokens.
        unknown: Token lists left out because of their [UNK].
    """

    documents: int = 0
    duplicates: int = 0
    sequences: int = 0
    tokens: int = 0
    short: int = 0
    unknown: int = 0

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            *(one + more for one, more in zip(asdict(self).values(), asdict(other).values(), strict=True))
        )

    @property
    def words(self) -> str:
        """All figures in a sentence."""
        reasons = {"duplicates": self.duplicates, "too short": self.short, "mostly unknown": self.unknown}
        left_out = ", ".join(f"{number:,} {reason}" for reason, number in reasons.items() if number) or "nothing"
        return (
            f"Texts: {self.documents:,}; sequences: {self.sequences:,}; tokens: {self.tokens:,}; left out: {left_out}."
        )


@dataclass(frozen=True)
class Shard:
    """What is in a shard.

    Attributes:
        statistics: What became of its texts.
        texts_digest: Of the texts.
        ids_digest: Of tokens and sizes.
    """

    statistics: Statistics
    texts_digest: str
    ids_digest: str

    @classmethod
    def read(cls, path: Path) -> Shard:
        """Read what `write_shard` wrote about a shard.

        Raises:
            UnreadableFileError: The file is damaged.
        """
        values = read_json(path)
        try:
            return cls(Statistics(**values["statistics"]), values["texts_digest"], values["ids_digest"])
        except (KeyError, TypeError) as error:
            raise UnreadableFileError(f"{path} is not the description of a shard: {error}") from error


def write_shard(
    folder: Path, number: int, ids: NDArray[Any], sizes: NDArray[np.int32], statistics: Statistics, texts_digest: str
) -> Shard:
    """Write a shard.

    Args:
        folder: That of the corpus.
        number: The number of the shard.
        ids: (tokens,) its tokens.
        sizes: (sequences,) how many tokens each sequence has.
        statistics: What became of its texts.
        texts_digest: Of these texts.
    """
    digest = blake2b(digest_size=16)
    for array in (ids, sizes):
        digest.update(array.astype(np.int32).astype("<i4", copy=False).data)
    shard = Shard(statistics, texts_digest, digest.hexdigest())
    for name, array in (("tokens", ids), ("sizes", sizes)):
        with replacing(_path(folder, number, f"{name}.npy")) as temporary, temporary.open("wb") as file:
            np.save(file, array)
    write_text(_path(folder, number, "json"), json.dumps(asdict(shard), indent=2))
    return shard


def read_shards(folder: Path) -> list[Shard]:
    """Return what is in the shards of a folder, up to the first one that is not there."""
    paths = (_path(folder, number, "json") for number in count())
    shards = []
    for path in paths:
        if not path.exists():
            break
        shards.append(Shard.read(path))
    return shards


def remove_others(folder: Path, shards: int) -> None:
    """Remove what a build that was killed left behind its last shard, and beside it."""
    expected = {
        _path(folder, number, end).name for number in range(shards) for end in ("tokens.npy", "sizes.npy", "json")
    }
    leftovers = (*folder.glob("shard-*"), *folder.glob(".shard-*"), *folder.glob(".co*.????????"))
    for path in sorted(leftovers, key=lambda path: path.suffix != ".json"):  # first what says that a shard is there
        if path.name not in expected:
            path.unlink()


def map_shard(folder: Path, number: int) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Return the tokens and the sizes of a shard, mapped into memory.

    Raises:
        UnreadableFileError: A file is damaged or not there.
    """
    paths = [_path(folder, number, f"{name}.npy") for name in ("tokens", "sizes")]
    try:
        ids, sizes = (_mapped(path) for path in paths)
        if len(ids) != int(sizes.sum()):
            raise ValueError(f"there are {len(ids)} tokens, and sizes of {int(sizes.sum())}")
    except (OSError, ValueError) as error:
        raise UnreadableFileError(f"{paths[0]} cannot be read: {error}; remove {folder}, and build it anew") from error
    return ids, sizes


def _mapped(path: Path) -> NDArray[Any]:
    """Return an array, which is mapped into memory if there is something in it; slices of plain arrays are fast."""
    array = np.load(path, mmap_mode="r")
    return np.asarray(array)


def _path(folder: Path, number: int, end: str) -> Path:
    return folder / f"shard-{number:05d}.{end}"


class ShardedTokens:
    """The tokens of several shards as one array of which slices are taken; none is copied but across shards.

    Attributes:
        dtype: That of the tokens.
        shape: How many there are, as a tuple.
    """

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        self._parts = list(parts)
        self._bounds = list(accumulate(map(len, parts), initial=0))
        self.dtype, self.shape = parts[0].dtype, (self._bounds[-1],)

    def __len__(self) -> int:
        return self._bounds[-1]

    def __getitem__(self, index: slice) -> NDArray[Any]:
        start, stop, _ = index.indices(len(self))
        first = min(bisect_right(self._bounds, start), len(self._parts)) - 1
        if stop <= self._bounds[first + 1]:
            base = self._bounds[first]
            return self._parts[first][start - base : stop - base]
        pieces = zip(self._parts, self._bounds, strict=False)
        return np.concatenate([part[max(0, start - base) : max(0, stop - base)] for part, base in pieces])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all tokens in memory."""
        return np.concatenate(self._parts).astype(dtype or self.dtype, copy=False)
