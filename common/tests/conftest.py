from __future__ import annotations

from typing import Any

import pytest
from tokenizer_cases import CLASSES, SMALL, tokenizer


@pytest.fixture(params=CLASSES, ids=lambda cls: cls.__name__)
def one(request: pytest.FixtureRequest) -> Any:
    """A tokenizer of either class, which tests share: they must not change it."""
    return tokenizer(request.param)


@pytest.fixture(params=CLASSES, ids=lambda cls: cls.__name__)
def fresh(request: pytest.FixtureRequest) -> Any:
    """A tokenizer of either class that is nobody else's."""
    return request.param(SMALL)
