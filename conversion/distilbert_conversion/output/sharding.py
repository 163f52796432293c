"""Which tensors go into which file of a sharded checkpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping

from distilbert_common.errors import CheckpointError

__all__ = ["parse_size", "split"]

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_size(size: int | str) -> int:
    """Return a size in bytes.

    Args:
        size: Bytes, or text such as "2GB" (10^9 bytes each) or "500MiB" (2^20 bytes each).

    Raises:
        CheckpointError: It is neither, or not above zero.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMG]?I?B)?\s*", str(size).upper())
    nbytes = int(float(match[1]) * _UNITS[match[2] or ""]) if match and (match[2] or "") in _UNITS else 0
    if nbytes < 1:
        raise CheckpointError(f"the shard size is {size!r}; expected bytes, or a number with a unit such as '2GB'")
    return nbytes


def split(sizes: Mapping[str, int], limit: int | None) -> list[list[str]]:
    """Distribute tensors over shards in their order, none above `limit` bytes unless a single tensor is.

    The rule is huggingface_hub's, so that PyTorch checkpoints are sharded as transformers shards them.

    Args:
        sizes: Bytes by name.
        limit: Bytes per shard, or None for one shard.
    """
    if limit is None:
        return [list(sizes)]
    shards: list[list[str]] = []
    current: list[str] = []
    filled = 0
    for name, size in sizes.items():
        if size > limit:
            shards.append([name])
            continue
        if filled + size > limit:
            shards.append(current)
            current, filled = [], 0
        current.append(name)
        filled += size
    return [*shards, current] if current else shards
