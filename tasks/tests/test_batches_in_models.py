"""The loss of a step is the mean over its labels, and outputs are those of each row, however rows lie in batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import tiny_config, tokenizer

import distilbert_pt
from distilbert_tasks.batches import BatchOptions, collect_rows, collect_tokens, evaluation_batches, training_batches
from distilbert_tasks.features import FeatureOptions, Features, make_features
from distilbert_tasks.task import find_task

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = [
    " ".join(["my card", "is lost", "top up", "where ?"][: 1 + number % 4] * (1 + number % 3)) for number in range(22)
]
NUMBERS = range(len(TEXTS))

COLUMNS: dict[str, tuple[str, dict[str, Any]]] = {
    "single label": ("text-classification", {"text": TEXTS, "label": [number % 3 for number in NUMBERS]}),
    "several labels": ("text-classification", {"text": TEXTS, "label": [[1, number % 2, 0] for number in NUMBERS]}),
    "regression": ("text-classification", {"text": TEXTS, "label": [number / 7 for number in NUMBERS]}),
    "tokens": ("token-classification", {
        "tokens": [text.split() for text in TEXTS],
        "tags": [[len(word) % 3 for word in text.split()] for text in TEXTS],
    }),
    "answers": ("question-answering", {
        "question": TEXTS, "context": ["the card is blue"] * len(TEXTS),
        "answers": [{"text": ["card"], "answer_start": [4]} if number % 3 else {"text": [], "answer_start": []}
                    for number in NUMBERS],
    }),
    "choices": ("multiple-choice", {
        "prompt": TEXTS, "choices": [["yes", "no", "my card"]] * len(TEXTS),
        "label": [number % 3 for number in NUMBERS],
    }),
    "masks": ("fill-mask", {"text": TEXTS}),
}  # fmt: skip

WAYS: list[dict[str, Any]] = [
    {"layout": "packed"},
    {"layout": "packed", "few_shapes": False, "row_length": 64, "accumulation": 3},
    {"layout": "padded", "world": 3},
    {"layout": "packed", "accumulation": 2, "world": 2},
]


def case(name: str) -> tuple[Any, Features]:
    """Return a model of the head, its weights large enough for losses to differ, and the features."""
    task, columns = COLUMNS[name]
    labels = {"regression": 1, "answers": 2}.get(name, 3)
    config = tiny_config(num_labels=labels, initializer_range=0.5)
    torch.manual_seed(0)
    model = getattr(distilbert_pt, f"DistilBert{find_task(task).head}")(config).eval()
    return model, make_features(task, columns, tokenizer(), config, FeatureOptions(line_by_line=True))


@torch.no_grad()
def call(model: Any, *arguments: Mapping[str, Any]) -> Any:
    joined = {name: value for part in arguments for name, value in part.items()}
    return model(**{
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in joined.items()
    })  # fmt: skip


def losses(model: Any, features: Features, options: dict[str, Any]) -> list[float]:
    """Return the loss of each step of an epoch, summed over micro batches and processes."""
    totals = np.zeros(3)
    for rank in range(options.get("world", 1)):
        some = training_batches(features, BatchOptions(batch_size=8, rank=rank, **options), stop_step=3)
        for step, batches in enumerate(some):
            totals[step] += sum(batch.share * float(call(model, batch.inputs, batch.labels).loss) for batch in batches)
    return list(totals)


@pytest.mark.parametrize("name", COLUMNS)
def test_the_loss_of_a_step_depends_on_its_rows_alone(name: str) -> None:
    model, features = case(name)
    expected = losses(model, features, {"layout": "padded", "few_shapes": False})
    assert len(set(expected)) == 3
    for options in WAYS:
        # float32 sums in another order; losses are about 1 to 10
        np.testing.assert_allclose(losses(model, features, options), expected, rtol=1e-5, err_msg=str(options))


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_outputs_are_those_of_each_row_alone(name: str, layout: Any) -> None:
    model, features = case(name)
    field, is_token = ("start_logits", True) if name == "answers" else ("logits", name in ("tokens", "masks"))
    batches = list(evaluation_batches(features, 128, layout))
    outputs = [(batch, call(model, batch.inputs)[field].numpy()) for batch in batches]
    collect: Any = collect_tokens if is_token else collect_rows
    made = collect(outputs, len(features))
    for batch in evaluation_batches(features, 1, "padded", few_shapes=False):
        alone = call(model, batch.inputs)[field].numpy()
        expected = batch.per_token(alone)[0] if is_token else alone[0]
        np.testing.assert_allclose(made[batch.rows[0]], expected, atol=1e-4)  # logits are about 10


@pytest.mark.parametrize("name", COLUMNS)
def test_the_loss_of_an_evaluation_depends_on_its_rows_alone(name: str) -> None:
    model, features = case(name)
    means = []
    for tokens, layout, few_shapes in ((128, "packed", True), (90, "padded", True), (1, "padded", False)):
        batches = list(evaluation_batches(features, tokens, layout, few_shapes=few_shapes))  # type: ignore[arg-type]
        total = sum(batch.weight * float(call(model, batch.inputs, batch.labels).loss) for batch in batches)
        means.append(total / sum(batch.weight for batch in batches))
    np.testing.assert_allclose(means[1:], means[0], rtol=1e-5)  # as above
