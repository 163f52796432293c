"""float16 and bfloat16: finite in every framework, with padding and with a row of nothing but padding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distilbert_cli.frameworks import FRAMEWORKS, zero_at_padding
from parity_tests.helpers import golden
from parity_tests.helpers.measures import PATHS
from parity_tests.helpers.tolerances import HALF


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("head", golden.HEADS)
@pytest.mark.parametrize("config", golden.configs(), ids=golden.case_id)
def test_finite_and_close_to_float32(config: Path, head: str, dtype: str, framework: str) -> None:
    family, path = FRAMEWORKS[framework], config / head / "pt"
    inputs = golden.inputs(config, head)
    assert (inputs["attention_mask"] == 0).any(), "some padding"
    inputs["attention_mask"][-1] = 0  # and a row with nothing to attend to
    exact = family.run(family.load(path, head), inputs, "cpu", PATHS[0])
    for flags in PATHS:
        arrays = family.run(family.load(path, head, dtype=dtype), inputs, "cpu", flags)
        for name, values in arrays.items():
            assert np.isfinite(values).all(), name
        if "output_attentions" not in flags:  # padding need not be computed
            arrays, exact = (zero_at_padding(x, head, inputs["attention_mask"]) for x in (arrays, exact))
        for name in arrays.keys() & {"logits", "start_logits", "end_logits", "last_hidden_state"}:
            scale = max(1.0, float(np.abs(exact[name]).max()))  # the tolerance is for logits of size 1
            assert np.abs(arrays[name] - exact[name]).max() <= HALF[dtype].value * scale, name
