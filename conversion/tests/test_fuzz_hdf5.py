"""Damaged `tf_model.h5`.

An error on purpose or a right result, never a crash, a hang or a bomb. `make fuzz` reads many more.
"""

from __future__ import annotations

import pytest

from parity_tests.helpers.fuzzing import assert_survives


@pytest.mark.parametrize("dialect", ["tf-h5"])
def test_damaged_files(dialect: str) -> None:
    assert_survives(dialect)
