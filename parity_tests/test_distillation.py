"""Students of a teacher: the triple loss in the engines of the families, against the loss of whole logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_common.training_state import initial_weights
from distilbert_tasks.engines import engine_module
from parity_tests.helpers.distillation_cases import (
    LAYERS,
    MASKED_LM,
    WIDE,
    cached,
    engine_of,
    expected,
    gradients_of,
    masked_batch,
    options_of,
    parts_of,
    save_model,
)
from parity_tests.helpers.engine_cases import VOCAB, config_of
from parity_tests.helpers.tolerances import GRADIENT, TRIPLE_LOSS

FRAMEWORKS = ("pt",)
Folders = dict[str, Path]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("models")
    sizes = {"student": {}, "teacher": {"n_layers": LAYERS}, "wide": {"n_layers": LAYERS, "dim": WIDE}}
    return {
        name: save_model(root / name, MASKED_LM, seed, **fields) for seed, (name, fields) in enumerate(sizes.items())
    }


def assert_same(actual: tuple[dict[str, float], Any], expected: tuple[dict[str, float], Any]) -> None:
    """Assert that the loss, its terms and all gradients agree; terms that are not computed are not compared."""
    for name, value in actual[0].items():
        assert value == pytest.approx(expected[0][name], rel=TRIPLE_LOSS.value, abs=1e-7), name
    assert actual[1].keys() >= expected[1].keys()
    for name, gradient in expected[1].items():
        scale = max(float(np.abs(gradient).max()), 1e-3)  # some, as those of keys' biases, are 0 but for rounding
        assert float(np.abs(actual[1][name] - gradient).max()) <= GRADIENT.value * scale, name


CASES: dict[str, dict[str, Any]] = {
    "paper": {},
    "restricted": {"restrict_ce_to_mask": True, "temperature": 3.0},
    "without ce": {"alpha_ce": 0.0},
    "without mlm": {"alpha_task": 0.0},
    "without cos": {"alpha_cos": 0.0},
    "projected": {"project_hidden": True},
}


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_terms_and_gradients_are_those_of_whole_logits(framework: str, case: str, models: Folders) -> None:
    options, is_packed = options_of(**CASES[case]), case != "restricted"
    teacher = models["wide" if case == "projected" else "teacher"]
    batch, matrix = masked_batch(packed=is_packed), None
    if case == "projected":
        shapes = {"hidden_projection.weight": (WIDE, 32)}
        matrix = initial_weights(shapes, config_of(MASKED_LM), options.seed)["hidden_projection.weight"]
    engine = engine_of(framework, MASKED_LM, models["student"], teacher, options)
    actual = gradients_of(engine, parts_of(batch))
    assert options.distillation is not None
    assert_same(actual, expected(models["student"], teacher, batch, options.distillation, matrix))
    absent = {"without ce": "loss_ce", "without mlm": "loss_mlm", "without cos": "loss_cos"}.get(case)
    assert actual[0].keys() == {"loss", "loss_ce", "loss_mlm", "loss_cos"} - {absent}


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_teacher_that_was_asked_ahead_of_time(framework: str, models: Folders) -> None:
    options, batch = options_of(), masked_batch(packed=True)
    asked = engine_module(framework)
    asked = asked.Engine(asked.load_model(MASKED_LM, models["teacher"]), None, "cpu")
    outputs = asked.teacher_outputs(batch.inputs, VOCAB)
    assert outputs["indices"].dtype == np.int32
    engine = engine_of(framework, MASKED_LM, models["student"], None, options)
    assert options.distillation is not None
    reference = expected(models["student"], models["teacher"], batch, options.distillation)
    assert_same(gradients_of(engine, parts_of(cached(batch, outputs))), reference)
