from __future__ import annotations

from collections.abc import Iterator

import pytest

from parity_tests.helpers.compilation import graphs_as_traced


@pytest.fixture(autouse=True, scope="module")
def trace_only() -> Iterator[None]:
    """Every test here traces much and runs little."""
    with graphs_as_traced():
        yield
