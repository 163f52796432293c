"""float16 and bfloat16: finite in every framework, with padding and with a row of nothing but padding."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_cli.frameworks import FRAMEWORKS, zero_at_padding
from parity_tests.helpers import golden
from parity_tests.helpers.combinations import combinations
from parity_tests.helpers.compilation import optimized_compilation
from parity_tests.helpers.measures import PATHS
from parity_tests.helpers.tolerances import HALF

KINDS = list(itertools.product(FRAMEWORKS, HALF))


def outputs_of(framework: str, path: Path, head: str, dtype: str, inputs: dict[str, np.ndarray]) -> list[Any]:
    """Return what a model gives on each path."""
    family = FRAMEWORKS[framework]
    model = family.load(path, head, dtype=dtype)
    return [family.run(model, inputs, "cpu", flags) for flags in PATHS]


@pytest.mark.parametrize(
    ("config", "head", "kind"), combinations(golden.configs(), golden.HEADS, KINDS), ids=golden.case_id
)
def test_finite_and_close_to_float32(config: Path, head: str, kind: tuple[str, str]) -> None:
    (framework, dtype), path = kind, config / head / "pt"
    inputs = golden.inputs(config, head)
    assert (inputs["attention_mask"] == 0).any(), "some padding"
    inputs["attention_mask"][-1] = 0  # and a row with nothing to attend to
    exact = outputs_of("pt", path, head, "float32", inputs)[0]
    with optimized_compilation() if (config.name, head) == ("micro", "ForMaskedLM") else nullcontext():
        outputs = outputs_of(framework, path, head, dtype, inputs)
    for flags, arrays in zip(PATHS, outputs, strict=True):
        for name, values in arrays.items():
            assert np.isfinite(values).all(), name
        if "output_attentions" not in flags:  # padding need not be computed
            arrays, exact = (zero_at_padding(x, head, inputs["attention_mask"]) for x in (arrays, exact))
        for name in arrays.keys() & {"logits", "start_logits", "end_logits", "last_hidden_state"}:
            scale = max(1.0, float(np.abs(exact[name]).max()))  # the tolerance is for logits of size 1
            assert np.abs(arrays[name] - exact[name]).max() <= HALF[dtype].value * scale, name
