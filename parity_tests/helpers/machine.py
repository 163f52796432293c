"""What a machine may lack without fault, where tests of it are left out; and the memory that tests give back."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from parity_tests.helpers.compilation import drop_model_programs

CAPABILITIES: dict[str, tuple[Callable[[], bool], str]] = {
    "procfs": (Path("/proc/self/status").exists, "memory is read from Linux' /proc"),
    "spark": (lambda: bool(find_spec("pyspark") and which("java")), "Spark is no part of the extras for tests"),
}
"""By the name that a test gives to `@pytest.mark.requires`: whether it is there, and what its absence means."""


@cache
def has(name: str) -> bool:
    """Whether this machine has a capability.

    Raises:
        KeyError: There is none of that name.
    """
    return CAPABILITIES[name][0]()


def memory_in_bytes() -> tuple[int, int]:
    """Return the address space of this process, and the memory that it holds; 0 where that cannot be read."""
    if not has("procfs"):
        return 0, 0
    size, resident = Path("/proc/self/statm").read_text().split()[:2]
    page = os.sysconf("SC_PAGE_SIZE")  # 4 kB on most machines, 16 or 64 on some with ARM
    return int(size) * page, int(resident) * page


def drop_programs() -> None:
    """Drop what JAX and the Flax models compiled, and give the memory back to the system where that can be asked for.

    A compiled program has 4 MB and more, and a worker of the suite would compile thousands.
    """
    drop_model_programs()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
        if trim is not None:
            trim(0)
