"""The engines of the three families: exact to the last bit after a restore, and interchangeable."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distilbert_common import DistilBertConfig
from distilbert_common.errors import DeviceError, InputError, MisshapenWeightError
from distilbert_common.training import EngineOptions, MicroBatch
from distilbert_common.training_state import check_loss_options
from distilbert_tasks.engines import engine_module
from parity_tests.helpers.engine_cases import (
    FRAMEWORKS,
    HEADS,
    NO_DROPOUT,
    batch_of,
    config_of,
    engine_of,
    save_backbone,
)
from parity_tests.helpers.tolerances import TRAINING
from parity_tests.training_curves import STEPS, apart, curve

pytestmark = pytest.mark.usefixtures("one_thread")

HEAD = "ForSequenceClassification"
OPTIONS = EngineOptions(
    weight_decay=0.1,
    label_smoothing=0.1,
    class_weights=(1.0, 2.0, 0.5),
    precision="float16",
    gradient_checkpointing=True,
    frozen=("embeddings",),
    layer_decay=0.8,
    seed=3,
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_backbone(tmp_path_factory.mktemp("backbone"))


@pytest.fixture(scope="module")
def float16_engines(source: Path) -> dict[str, Any]:
    return {framework: engine_of(framework, HEAD, source, OPTIONS) for framework in FRAMEWORKS}


def micro_batches(step: int) -> list[MicroBatch]:
    """Two micro batches of one shape."""
    batches = (batch_of(HEAD, 2 * step + number) for number in range(2))
    return [MicroBatch(batch.inputs, batch.labels, share) for batch, share in zip(batches, (0.25, 0.75), strict=True)]


def run(engine: Any, start: int, stop: int) -> list[float]:
    return [float(engine.train_step(micro_batches(step), step, 1e-3).loss) for step in range(start, stop)]


def assert_equal(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert actual.keys() == expected.keys()
    assert [name for name in expected if not np.array_equal(actual[name], expected[name])] == []


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_restored_run_goes_on_to_the_last_bit(framework: str, source: Path, float16_engines: dict[str, Any]) -> None:
    engine = float16_engines[framework]
    start = engine.state()
    losses = run(engine, 0, 7)
    state = engine.state()
    losses += run(engine, 7, 12)
    end = engine.state()
    assert end["updates"] == 12, "or too many steps overflowed to show anything"

    other = engine_of(framework, HEAD, source, OPTIONS)
    assert_equal(other.state(), start)
    other.restore(state)
    assert run(other, 7, 12) == losses[7:]
    assert_equal(other.state(), end)

    changed = {name for name in start if not np.array_equal(start[name], end[name])}
    assert changed == {name for name in start if "/embeddings." not in name}

    engine.restore(state)
    assert run(engine, 8, 9) != losses[7:8], "dropout depends on the step"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_overflow_changes_nothing_but_the_scale_of_the_loss(framework: str, float16_engines: dict[str, Any]) -> None:
    engine = float16_engines[framework]
    state = engine.state() | {"loss_scale": np.array([2.0**40, 5.0], np.float32)}
    engine.restore(state)
    result = engine.train_step(micro_batches(0), 0, 1e-3)
    assert not np.isfinite(float(result.grad_norm))
    assert_equal(engine.state(), state | {"loss_scale": np.array([2.0**39, 0.0], np.float32)})
    engine.restore(state | {"loss_scale": np.array([4.0, 1999.0], np.float32)})
    engine.train_step(micro_batches(0), 0, 1e-3)
    assert engine.state()["loss_scale"].tolist() == [8.0, 0.0], "it doubles after 2,000 steps without an overflow"


def test_a_state_goes_on_in_another_framework(source: Path) -> None:
    options = EngineOptions(weight_decay=0.1)
    engines = {framework: engine_of(framework, HEAD, source, options, **NO_DROPOUT) for framework in FRAMEWORKS}
    states = {framework: engine.state() for framework, engine in engines.items()}
    for framework in FRAMEWORKS:
        assert_equal(states[framework], states["pt"])  # new heads start alike
    run(engines["pt"], 0, 5)
    state = engines["pt"].state()
    expected = run(engines["pt"], 5, 8)
    for framework in ("tf", "flax"):
        engines[framework].restore(state)
        assert run(engines[framework], 5, 8) == pytest.approx(expected, rel=TRAINING.value), framework


@pytest.mark.parametrize("head", HEADS)
def test_loss_curves_agree(head: str, source: Path) -> None:
    steps = STEPS if head == "ForTokenClassification" else 6
    curves = {framework: curve(framework, head, source, steps) for framework in FRAMEWORKS}
    assert apart(curves["pt"], curves["tf"]) <= TRAINING.value
    assert apart(curves["pt"], curves["flax"]) <= TRAINING.value
    if steps == STEPS:
        assert curves["pt"][-10:].mean() < 0.8 * curves["pt"][:10].mean(), "it learns"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_an_engine_refuses(framework: str, source: Path) -> None:
    module = engine_module(framework)
    model = module.load_model(HEAD, source, config=config_of(HEAD))
    evaluating, training = module.Engine(model, device="cpu"), module.Engine(model, EngineOptions(), "cpu")
    assert evaluating.eval_step(batch_of(HEAD, 0).inputs)["logits"].dtype == np.float32
    with pytest.raises(InputError, match="made to evaluate"):
        evaluating.train_step([batch_of(HEAD, 0)], 0, 1e-3)
    with pytest.raises(InputError, match="1 entries differ, first 'updates', which is missing"):
        training.restore({name: array for name, array in training.state().items() if name != "updates"})
    with pytest.raises(DeviceError, match="'auto', 'cpu' or 'gpu'"):
        module.Engine(model, device="tpu")
    with pytest.raises(InputError, match="2 class_weights were given for 3 classes"):
        module.Engine(model, EngineOptions(class_weights=(1.0, 2.0)), "cpu")
    with pytest.raises(InputError, match=r"no parameter in 'layer\.9' to freeze"):
        module.Engine(model, EngineOptions(frozen=("layer.9",)), "cpu")
    bfloat16 = module.load_model(HEAD, source, dtype="bfloat16")
    with pytest.raises(InputError, match=r"parameters are bfloat16; .* dtype=.float32."):
        module.Engine(bfloat16, EngineOptions(), "cpu")
    with (
        pytest.warns(UserWarning, match="of the wrong shape"),
        pytest.raises(MisshapenWeightError, match="give a config of the checkpoint's sizes"),
    ):
        module.load_model(HEAD, source, config=config_of(HEAD, dim=16))


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 0.5, 0.0, 3.0)])
def test_smoothed_cross_entropy_is_pytorchs(framework: str, weights: tuple[float, ...] | None) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4, 6, 5)).astype(np.float32)
    labels = np.where(rng.random((4, 6)) < 0.3, -100, rng.integers(0, 5, (4, 6)))
    weight = None if weights is None else torch.tensor(weights)
    flat = torch.from_numpy(logits).flatten(0, 1), torch.from_numpy(labels).flatten()
    expected = float(torch.nn.functional.cross_entropy(*flat, weight, label_smoothing=0.2))
    loss = import_module(f"distilbert_{framework}.losses").smoothed_cross_entropy
    as_tensor = torch.from_numpy if framework == "pt" else np.asarray
    assert float(loss(as_tensor(logits), as_tensor(labels), 0.2, weights)) == pytest.approx(expected, rel=1e-6)
    assert float(loss(as_tensor(logits), as_tensor(np.full_like(labels, -100)), 0.2, weights)) == 0


def test_smoothing_is_refused_where_labels_share_no_probability() -> None:
    options = EngineOptions(label_smoothing=0.1)
    for head, fields in (
        ("ForQuestionAnswering", {}),
        (HEAD, {"num_labels": 1}),
        (HEAD, {"problem_type": "multi_label_classification"}),
    ):
        with pytest.raises(InputError, match="label_smoothing and class_weights"):
            check_loss_options(head, DistilBertConfig(**fields), options)
