"""The gradient of every parameter, for every head with a loss, in every framework, against transformers'."""

from __future__ import annotations

from pathlib import Path

import pytest

from distilbert_cli.frameworks import FRAMEWORKS
from parity_tests.helpers import golden
from parity_tests.helpers.measures import gradient_difference
from parity_tests.helpers.tolerances import GRADIENT

CASES = [(config, head) for config, head in golden.cases() if head != "Model"]


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("config", "head"), CASES, ids=golden.case_id)
def test_gradients(config: Path, head: str, framework: str) -> None:
    assert gradient_difference(config, head, framework) <= GRADIENT.value
