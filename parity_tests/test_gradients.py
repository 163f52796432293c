"""The gradient of every parameter, for every head with a loss, in every framework, against transformers'."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from distilbert_cli.frameworks import FRAMEWORKS
from parity_tests.helpers import golden
from parity_tests.helpers.combinations import combinations
from parity_tests.helpers.measures import gradient_difference
from parity_tests.helpers.tolerances import GRADIENT

HEADS = [head for head in golden.HEADS if head != "Model"]
MICRO, *LARGER = golden.configs()
CASES = [*itertools.product([MICRO], HEADS, FRAMEWORKS, "10"), *combinations(LARGER, HEADS, [*FRAMEWORKS], "10")]


@pytest.mark.parametrize(
    ("config", "head", "framework", "fast_and_plain"), CASES, ids=golden.case_id, indirect=["fast_and_plain"]
)
def test_gradients(config: Path, head: str, framework: str, fast_and_plain: None) -> None:
    assert gradient_difference(config, head, framework) <= GRADIENT.value
