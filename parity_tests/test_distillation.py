"""Students of a teacher: the triple loss in the engines of the families, against the loss of whole logits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from distilbert_common.constants import FAST_SWITCH
from distilbert_common.training_state import initial_weights
from distilbert_tasks.engines import engine_module
from parity_tests.helpers.distillation_cases import (
    LAYERS,
    MASKED_LM,
    WIDE,
    assert_same,
    cached,
    engine_of,
    expected,
    gradients_of,
    masked_batch,
    options_of,
    parts_of,
    save_model,
)
from parity_tests.helpers.engine_cases import FRAMEWORKS, config_of
from parity_tests.helpers.tolerances import HALF

Folders = dict[str, Path]
TOP_K = 5
PROJECTION = "hidden_projection.weight"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("models")
    sizes = {"student": {}, "teacher": {"n_layers": LAYERS}, "wide": {"n_layers": LAYERS, "dim": WIDE}}
    return {
        name: save_model(root / name, MASKED_LM, seed, **fields) for seed, (name, fields) in enumerate(sizes.items())
    }


@pytest.fixture(autouse=True)
def few_graphs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Build TensorFlow's graph of the paper's loss alone: that takes many times what the steps here do."""
    tf.config.run_functions_eagerly("paper" not in request.node.name)
    yield
    tf.config.run_functions_eagerly(False)


CASES: dict[str, dict[str, Any]] = {
    "paper": {},
    "soft targets alone": {"alpha_task": 0.0, "alpha_cos": 0.0, "restrict_ce_to_mask": True, "temperature": 3.0},
    "labels alone": {"alpha_ce": 0.0, "alpha_cos": 0.0},
    "smoothed and projected": {"project_hidden": True},
}
TERMS = {"soft targets alone": {"loss_ce"}, "labels alone": {"loss_mlm"}}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_terms_and_gradients_are_those_of_whole_logits(framework: str, case: str, models: Folders) -> None:
    options, is_projected = options_of(**CASES[case]), "projected" in case
    teacher, matrix = models["wide" if is_projected else "teacher"], None
    if is_projected:
        options = replace(options, label_smoothing=0.1)
        matrix = initial_weights({PROJECTION: (WIDE, 32)}, config_of(MASKED_LM), options.seed)[PROJECTION]
    batch = masked_batch(packed=case != "labels alone")
    engine = engine_of(framework, MASKED_LM, models["student"], teacher, options)
    actual = gradients_of(engine, parts_of(batch))
    assert_same(actual, expected(models["student"], teacher, batch, options, matrix))
    assert actual[0].keys() - {"loss"} == TERMS.get(case, {"loss_ce", "loss_mlm", "loss_cos"})


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_terms_and_gradients_without_what_is_fast(
    framework: str, models: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAST_SWITCH, "0")
    options, batch = options_of(restrict_ce_to_mask=True, temperature=3.0), masked_batch()
    engine = engine_of(framework, MASKED_LM, models["student"], models["teacher"], options)
    actual = gradients_of(engine, parts_of(batch))
    assert_same(actual, expected(models["student"], models["teacher"], batch, options))


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_teacher_that_was_asked_ahead_of_time(framework: str, models: Folders) -> None:
    options, batch = options_of(), masked_batch(packed=True)
    module = engine_module(framework)
    asked = module.Engine(module.load_model(MASKED_LM, models["teacher"]), None, "cpu")
    outputs = asked.teacher_outputs(batch.inputs, TOP_K)
    assert outputs["indices"].dtype == np.int32
    engine = engine_of(framework, MASKED_LM, models["student"], None, options)
    reference = expected(models["student"], models["teacher"], batch, options, top_k=TOP_K)
    assert_same(gradients_of(engine, parts_of(cached(batch, outputs))), reference)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_restored_student_goes_on_to_the_last_bit_and_its_teacher_stays(
    framework: str, models: Folders, tmp_path: Path
) -> None:
    options, module = options_of(project_hidden=True, teacher_precision="bfloat16"), engine_module(framework)
    student, batches = save_model(tmp_path / "student", MASKED_LM, 0, dropout=0.5), parts_of(masked_batch())
    teacher = module.load_model(MASKED_LM, models["wide"])
    engine = module.Engine(module.load_model(MASKED_LM, student), options, "cpu", teacher=teacher)
    teacher.save_pretrained(tmp_path / "before", safe_serialization=True)
    first = engine.train_step(batches, 0, 1e-2)
    state = engine.state()
    second = engine.train_step(batches, 1, 1e-2)
    teacher.save_pretrained(tmp_path / "after", safe_serialization=True)
    before, after = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("before", "after"))
    assert before == after

    other = engine_of(framework, MASKED_LM, student, models["wide"], options)
    start = other.state()
    other.restore(state)
    assert terms_of(other.train_step(batches, 1, 1e-2)) == terms_of(second)
    end, others = engine.state(), other.state()
    assert [name for name in end if not np.array_equal(end[name], others[name])] == []
    assert not np.array_equal(end[f"parameters/{PROJECTION}"], start[f"parameters/{PROJECTION}"])
    other.restore(start)
    assert terms_of(other.train_step(batches, 1, 1e-2)) != terms_of(first), "dropout depends on the step"
    other.restore(start)
    assert terms_of(other.train_step(batches, 0, 1e-2)) == terms_of(first)


def terms_of(result: Any) -> dict[str, float]:
    """Return the terms of a step."""
    return {name: float(term) for name, term in result.terms.items()}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_teacher_in_half_precision(framework: str, models: Folders) -> None:
    options = options_of(teacher_precision="bfloat16")
    engine = engine_of(framework, MASKED_LM, models["student"], models["teacher"], options)
    actual = gradients_of(engine, parts_of(masked_batch()))[0]
    exact = expected(models["student"], models["teacher"], masked_batch(), options)[0]
    assert actual == pytest.approx(exact, rel=HALF["bfloat16"].value)
    assert abs(actual["loss_ce"] / exact["loss_ce"] - 1) > 1e-6, "the teacher computes in bfloat16"
