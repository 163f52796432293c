"""What the usage tests of the three families share."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity_tests.helpers import usage


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of every head, by head."""
    return usage.make_checkpoints(tmp_path_factory.mktemp("checkpoints"))
