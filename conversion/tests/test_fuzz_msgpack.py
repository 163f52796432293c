"""Damaged MessagePack files, indices of shards, configs, and what describes KerasHub's and Orbax' folders.

An error on purpose or a right result, never a crash, a hang or a bomb. `make fuzz` reads many more.
"""

from __future__ import annotations

import pytest

from parity_tests.helpers.fuzzing import assert_survives


@pytest.mark.parametrize("dialect", ["flax-msgpack", "index", "config", "keras-hub", "orbax"])
def test_damaged_files(dialect: str) -> None:
    assert_survives(dialect)
