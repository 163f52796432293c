from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def compile_all_fast(compile_fast: None) -> None:
    """Every test here compiles much and runs little."""
