"""How fast several models are, beside each other: they take turns on the same inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from distilbert_common.training import Engine
from distilbert_tasks.batches import EvaluationBatch, evaluation_batches
from distilbert_tasks.features import Features, Ragged

__all__ = ["Speed", "random_features", "speeds"]

TEXTS = 32
"""How many texts go through the models one by one."""
TOKENS = 8192
"""About how many tokens go through them in batches."""
TOKENS_PER_BATCH = 1024
LENGTHS = (8, 16, 32, 64)
"""How many tokens random texts have."""


@dataclass(frozen=True)
class Speed:
    """How fast a model is.

    Attributes:
        latency_ms: The median time for one text by itself, in milliseconds.
        texts_per_second: In batches of about 1,024 tokens.
        tokens_per_second: The same in tokens, without padding.
    """

    latency_ms: float
    texts_per_second: float
    tokens_per_second: float


def random_features(task: str, vocab_size: int, positions: int) -> Features:
    """Return texts of random tokens, 8 to 64 each as far as models have positions, for where no data was given."""
    random, choices = np.random.default_rng(0), 2 if task == "multiple-choice" else 1
    lists = [
        random.integers(0, vocab_size, min(size, positions))
        for size in LENGTHS * (TEXTS // len(LENGTHS))
        for _ in range(choices)
    ]
    return Features(Ragged.from_lists(lists), {}, np.arange(TEXTS), choices, task=task)


def speeds(engines: Sequence[Engine], features: Features, *, few_shapes: bool, rounds: int = 3) -> list[Speed]:
    """Return how fast models are on the same texts.

    One text is given to each model before the next text is, so that what else the machine does falls on all alike.
    What is compiled at first sight was seen before the clock starts.

    Args:
        engines: Those of the models.
        features: The texts, of which some spread over all lengths are taken.
        few_shapes: Whether sizes are rounded up, as compiled code has it.
        rounds: How often each input is given.
    """
    single = list(evaluation_batches(_spread(features, TEXTS), 1, "padded", few_shapes=few_shapes))
    chosen = _spread(features, max(1, int(TOKENS / max(1.0, float(features.sizes.mean())))))
    batches = list(evaluation_batches(chosen, TOKENS_PER_BATCH, few_shapes=few_shapes))
    latencies = _seconds(engines, single, rounds)  # [model][input][round]
    totals = [sum(map(median, times)) for times in _seconds(engines, batches, rounds)]
    return [
        Speed(1000 * median(map(median, times)), len(chosen) / total, float(chosen.sizes.sum()) / total)
        for times, total in zip(latencies, totals, strict=True)
    ]


def _spread(features: Features, count: int) -> Features:
    """Return some rows without labels, of lengths as all have them."""
    order = np.argsort(features.sizes, kind="stable")
    rows = order[np.linspace(0, len(order) - 1, min(count, len(order))).astype(int)]
    lists = (rows[:, None] * features.choices + np.arange(features.choices)).reshape(-1)  # (rows * choices,)
    ids = Ragged.from_lists(features.input_ids.take(lists))
    return Features(ids, {}, np.arange(len(rows)), features.choices, task=features.task)


def _seconds(engines: Sequence[Engine], batches: Sequence[EvaluationBatch], rounds: int) -> list[list[list[float]]]:
    """Return how long each model took for each batch, round by round."""
    times: list[list[list[float]]] = [[[] for _ in batches] for _ in engines]
    for batch in {_shape(batch.inputs): batch for batch in batches}.values():
        for engine in engines:
            engine.eval_step(batch.inputs)
    for turn in range(rounds):
        order = range(len(engines)) if turn % 2 == 0 else reversed(range(len(engines)))
        numbers = list(order)
        for batch_number, batch in enumerate(batches):
            for number in numbers:
                started = perf_counter()
                engines[number].eval_step(batch.inputs)
                times[number][batch_number].append(perf_counter() - started)
    return times


def _shape(inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(getattr(inputs[name], "shape", inputs[name]) for name in sorted(inputs))
