"""Damaged PyTorch files, of today's form and of the one before 1.6.

An error on purpose or a right result, never a crash, a hang or a bomb. `make fuzz` reads many more.
"""

from __future__ import annotations

import pytest

from parity_tests.helpers.fuzzing import assert_survives


@pytest.mark.parametrize("dialect", ["pt-bin", "pt-bin-legacy"])
def test_damaged_files(dialect: str) -> None:
    assert_survives(dialect)
