"""Every golden checkpoint, in every dialect, in every framework, against transformers' numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from distilbert_common.constants import FAST_SWITCH
from parity_tests.helpers import golden
from parity_tests.helpers.compilation import optimized_compilation
from parity_tests.helpers.measures import cell_difference, cells, load_cell
from parity_tests.helpers.tolerances import MATRIX


@pytest.fixture(scope="module")
def config(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder of golden data; models of the one that is always there are compiled as users compile them."""
    with optimized_compilation() if request.param.name == "micro" else nullcontext():
        yield request.param


@pytest.mark.parametrize(("config", "head", "folder", "framework"), cells(), indirect=["config"], ids=golden.case_id)
def test_cell(config: Path, head: str, folder: str, framework: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_cell(config, head, folder, framework)
    for switch in ("1", "0"):  # with everything that is only there to be fast, and without it
        monkeypatch.setenv(FAST_SWITCH, switch)
        assert cell_difference(model, config, head, framework) <= MATRIX.value, f"{FAST_SWITCH}={switch}"
