"""What a machine may lack without fault: there the tests of it are left out, and the summary says why."""

from __future__ import annotations

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
