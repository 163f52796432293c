"""PyTorch's generators are global: what draws from a seed of its own must leave them as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["random_numbers"]


@contextmanager
def random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from a seed inside; PyTorch's own generators stay as they are."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
