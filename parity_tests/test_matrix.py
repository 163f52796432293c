"""Every golden checkpoint, in every dialect, in every framework, against transformers' numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity_tests.helpers import golden
from parity_tests.helpers.measures import cell_difference, cells
from parity_tests.helpers.tolerances import MATRIX


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize(("config", "head", "folder", "framework"), cells(), ids=golden.case_id)
def test_cell(config: Path, head: str, folder: str, framework: str) -> None:
    assert cell_difference(config, head, folder, framework) <= MATRIX.value
