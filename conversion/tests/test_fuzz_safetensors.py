"""Damaged safetensors files of each framework, and shards.

An error on purpose or a right result, never a crash, a hang or a bomb. `make fuzz` reads many more.
"""

from __future__ import annotations

import pytest

from parity_tests.helpers.fuzzing import assert_survives


@pytest.mark.parametrize("dialect", ["pt-safetensors", "tf-safetensors", "flax-safetensors", "shards"])
def test_damaged_files(dialect: str) -> None:
    assert_survives(dialect)
