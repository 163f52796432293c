"""What a machine may lack without fault, where tests of it are left out; and the memory that tests give back."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

CAPABILITIES: dict[str, tuple[Callable[[], bool], str]] = {
    "procfs": (Path("/proc/self/status").exists, "memory is read from Linux' /proc"),
}
"""By the name that a test gives to `@pytest.mark.requires`: whether it is there, and what its absence means."""


@cache
def has(name: str) -> bool:
    """Whether this machine has a capability.

    Raises:
        KeyError: There is none of that name.
    """
    return CAPABILITIES[name][0]()


def resident() -> int:
    """Return the bytes of memory that this process holds; 0 where that cannot be read."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * 4096


def drop_programs() -> None:
    """Drop what JAX and the Flax models compiled, and give the memory back to the system where that can be asked for.

    A compiled program has 4 MB and more, and a worker of the suite would compile thousands.
    """
    flax_programs = sys.modules.get("distilbert_flax.fast.programs")
    if flax_programs is not None:
        flax_programs.program.cache_clear()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
