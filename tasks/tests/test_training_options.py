from __future__ import annotations

from typing import Any

import pytest

from distilbert_common.errors import InputError
from distilbert_common.training import EngineOptions
from distilbert_tasks.training.options import TrainingOptions
from distilbert_tasks.training.schedule import learning_rate_at

BAD: dict[str, Any] = {
    "learning_rate": 0.0,
    "epochs": float("nan"),
    "max_steps": 0,
    "batch_size": True,
    "tokens_per_batch": 0.5,
    "accumulation": 0,
    "layout": "rows",
    "schedule": "polynomial",
    "warmup_steps": -1,
    "warmup_ratio": 1.0,
    "eval_every": 0,
    "patience": 0,
    "min_delta": -0.1,
    "save_every": 0,
    "keep_last": 0,
    "log_every": 0,
    "weight_decay": -0.1,
    "betas": (0.9, 1.0),
    "epsilon": 0.0,
    "max_grad_norm": 0.0,
    "label_smoothing": 1.0,
    "class_weights": (0.0, 0.0),
    "precision": "float8",
    "layer_decay": 0.0,
    "seed": -1,
}


@pytest.mark.parametrize("name", BAD)
def test_a_figure_out_of_range_is_named_with_what_it_must_be(name: str) -> None:
    with pytest.raises(InputError, match=f"^{name} is .*; it must be "):
        TrainingOptions(**{name: BAD[name]})


def test_the_engine_is_told_what_it_knows() -> None:
    options = TrainingOptions(weight_decay=0.1, frozen=("embeddings",), seed=3, learning_rate=1.0)
    assert options.engine == EngineOptions(weight_decay=0.1, frozen=("embeddings",), seed=3)
    assert type(options.engine) is EngineOptions


# What `get_linear_schedule_with_warmup` and `get_cosine_schedule_with_warmup` of transformers 4.57.6 give for the steps
# of 10 with 4 of warm-up and a highest rate of 1.
LINEAR = [0.0, 0.25, 0.5, 0.75, 1.0, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
COSINE = [0.0, 0.25, 0.5, 0.75, 1.0, 0.9330127018922194, 0.75, 0.5, 0.25, 0.06698729810778059]


@pytest.mark.parametrize(
    ("schedule", "expected"), [("linear", LINEAR), ("cosine", COSINE), ("constant", [*LINEAR[:4], *[1.0] * 6])]
)
@pytest.mark.parametrize("warmup", [{"warmup_steps": 4}, {"warmup_ratio": 0.31}])
def test_the_learning_rate_of_each_step(schedule: Any, expected: list[float], warmup: dict[str, Any]) -> None:
    options = TrainingOptions(learning_rate=1.0, schedule=schedule, **warmup)
    assert [learning_rate_at(step, 10, options) for step in range(10)] == pytest.approx(expected, abs=1e-12)


def test_without_a_warmup_the_first_step_has_the_highest_rate() -> None:
    assert learning_rate_at(0, 10, TrainingOptions(learning_rate=0.1)) == 0.1
