from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from data_cases import tiny_config, tokenizer

from distilbert_common.errors import InputError
from distilbert_common.packing import place
from distilbert_common.training import MicroBatch
from distilbert_tasks.batches import (
    BatchOptions,
    collect_rows,
    collect_tokens,
    epoch_order,
    evaluation_batches,
    steps_per_epoch,
    training_batches,
)
from distilbert_tasks.batches.fitting import fitting_length, rows_needed
from distilbert_tasks.features import FeatureOptions, Features, Ragged, make_features

LAYOUTS = ("packed", "padded")


def numbered(sizes: Sequence[int], choices: int = 1) -> Features:
    """Return features whose tokens tell their row: row 3 is 4, 4, 4, …."""
    lists = [[1 + index // choices] * size for index, size in enumerate(sizes)]
    rows = len(sizes) // choices
    task = "text-classification" if choices == 1 else "multiple-choice"
    return Features(
        Ragged.from_lists(lists), {"labels": np.arange(rows, dtype=np.int32)}, np.arange(rows), choices, task=task
    )


def rows_of(batch: MicroBatch) -> list[int]:
    """Return the rows that a micro batch has, by its labels."""
    labels = np.asarray(batch.labels["labels"])
    return sorted(labels[labels >= 0].tolist())


SIZES = np.random.default_rng(0).integers(3, 40, 101).tolist()


def test_the_order_of_an_epoch_never_changes() -> None:
    assert epoch_order(0, 0, 8).tolist() == EPOCH_0
    assert epoch_order(0, 1, 8).tolist() != EPOCH_0 != epoch_order(1, 0, 8).tolist()
    assert sorted(epoch_order(7, 3, 1000).tolist()) == list(range(1000))


EPOCH_0 = [0, 3, 7, 5, 1, 2, 6, 4]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("few_shapes", [True, False])
@pytest.mark.parametrize("size", [{"batch_size": 16}, {"tokens_per_batch": 300}])
def test_an_epoch_takes_every_row_once(layout: Any, few_shapes: bool, size: dict[str, int]) -> None:
    features = numbered(SIZES)
    options = BatchOptions(layout=layout, few_shapes=few_shapes, accumulation=2, world=3, **size)
    steps = steps_per_epoch(features, options)
    for epoch in range(2):
        taken, shares, token_shares = [], [], []
        for rank in range(3):
            own = BatchOptions(**{**vars(options), "rank": rank})
            some = training_batches(features, own, start_step=epoch * steps, stop_step=(epoch + 1) * steps)
            for micro_batches in some:
                taken += [row for batch in micro_batches for row in rows_of(batch)]
                shares += [batch.share for batch in micro_batches]
                token_shares += [batch.token_share for batch in micro_batches]
        assert sorted(taken) == list(range(101))
        assert sum(shares) == pytest.approx(steps)
        assert sum(token_shares) == pytest.approx(steps)


def test_a_step_has_the_rows_of_its_order_and_the_last_what_is_left() -> None:
    features = numbered(SIZES)
    options = BatchOptions(batch_size=16, seed=3)
    steps = [rows_of(batch) for (batch,) in training_batches(features, options, stop_step=7)]
    order = epoch_order(3, 0, 101)
    assert steps == [sorted(order[start : start + 16].tolist()) for start in range(0, 101, 16)]
    assert len(steps[-1]) == 5


def test_tokens_of_steps_are_about_as_asked_for() -> None:
    features = numbered(SIZES)
    options = BatchOptions(tokens_per_batch=300)
    tokens = [
        sum(SIZES[row] for row in rows_of(batch)) for (batch,) in training_batches(features, options, stop_step=7)
    ]
    assert steps_per_epoch(features, options) == -(-sum(SIZES) // 300)
    assert all(abs(count - sum(SIZES) / steps_per_epoch(features, options)) <= 40 for count in tokens)
    with pytest.raises(InputError, match="a row has 39 tokens, more than tokens_per_batch \\(20\\)"):
        steps_per_epoch(features, BatchOptions(tokens_per_batch=20))


def test_a_run_may_start_at_any_step() -> None:
    features = numbered(SIZES)
    options = BatchOptions(batch_size=16, accumulation=2)
    for start in (5, 9):
        resumed = next(training_batches(features, options, start_step=start))
        full = list(training_batches(features, options, stop_step=start + 1))[-1]
        for one, other in zip(resumed, full, strict=True):
            assert all(np.array_equal(one.inputs[name], other.inputs[name]) for name in one.inputs)


def test_masks_change_from_step_to_step() -> None:
    columns = {"text": ["card " * 60]}  # one row, so that nothing else changes
    features = make_features("fill-mask", columns, tokenizer(), tiny_config())
    assert len({str(tokens_of(step)) for step in training_batches(features, BatchOptions(), stop_step=4)}) == 4


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sizes", [SIZES[:37], [39] * 37])
def test_processes_have_batches_of_one_shape(layout: Any, sizes: list[int]) -> None:
    features = numbered(sizes)
    steps = [
        list(training_batches(features, BatchOptions(batch_size=15, layout=layout, rank=rank, world=4), stop_step=3))
        for rank in range(4)
    ]
    for by_rank in zip(*steps, strict=True):
        shapes = [[{k: np.shape(v) for k, v in batch.inputs.items()} for batch in batches] for batches in by_rank]
        assert all(shape == shapes[0] for shape in shapes)
    alone = next(training_batches(numbered([5]), BatchOptions(world=4, rank=3, layout=layout)))
    assert [batch.share for batch in alone] == [0.0]
    assert not np.any(alone[0].inputs.get("segment_ids", alone[0].inputs.get("attention_mask")))


def test_few_shapes() -> None:
    sizes = np.random.default_rng(1).integers(3, 60, 3000)
    features = numbered(sizes.tolist())
    for layout, most in (("packed", 6), ("padded", 6)):
        options = BatchOptions(batch_size=32, layout=layout)  # type: ignore[arg-type]
        shapes = {
            (batch.inputs["input_ids"].shape, batch.inputs.get("num_segments"))
            for (batch,) in training_batches(features, options, stop_step=94)
        }
        assert len(shapes) <= most, shapes


@pytest.mark.parametrize(("few_shapes", "batch_size", "least"), [(True, 64, 0.85), (False, 12, 0.92)])
def test_packed_rows_are_nearly_full(few_shapes: bool, batch_size: int, least: float) -> None:
    features = numbered(np.random.default_rng(1).integers(3, 60, 3000).tolist())
    used = capacity = 0
    for (batch,) in training_batches(
        features, BatchOptions(batch_size=batch_size, few_shapes=few_shapes), stop_step=40
    ):
        used += int((batch.inputs["segment_ids"] > 0).sum())
        capacity += batch.inputs["segment_ids"].size
    assert used / capacity > least  # padded to the longest row it would be 0.55


def test_the_length_of_rows_is_chosen_by_the_rows_that_they_take() -> None:
    for seed in range(20):
        sizes = np.random.default_rng(seed).integers(3, 60, 30).astype(np.int32)
        assert rows_needed(sorted(sizes.tolist(), reverse=True), 64) == place(sizes, 64).rows
    assert fitting_length([np.asarray([40, 40, 30], np.int32)], 8) == 112  # one row of 110, not two of 80
    assert fitting_length([np.asarray([400] * 2, np.int32)], 8) == 400  # none longer than 512
    assert fitting_length([np.asarray([5], np.int32), np.asarray([], np.int32)], 8) == 8


def test_shares_follow_the_weights_of_classes() -> None:
    features = Features(Ragged.from_lists([[1, 2]] * 4), {"labels": np.asarray([0, 0, 0, 1], np.int32)}, np.arange(4))
    options = BatchOptions(batch_size=4, accumulation=2, class_weights=(1.0, 5.0), layout="padded")
    (step,) = training_batches(features, options, stop_step=1)
    weights = np.asarray([1.0, 5.0])
    assert [batch.share for batch in step] == [weights[batch.labels["labels"]].sum() / 8 for batch in step]


def mlm_features() -> Features:
    columns = {"text": [f"my card number {number} is lost" for number in range(40)]}
    return make_features("fill-mask", columns, tokenizer(), tiny_config(), FeatureOptions(max_length=24))


def tokens_of(steps: Any) -> list[tuple[Any, ...]]:
    """Return inputs and labels of all tokens of a step, in no order."""
    tokens: list[tuple[Any, ...]] = []
    for batch in steps:
        inputs, labels = batch.inputs["input_ids"], batch.labels["labels"]
        mask = batch.inputs.get("segment_ids", batch.inputs.get("attention_mask")) > 0
        tokens += zip(inputs[mask].tolist(), labels[mask].tolist(), strict=True)
    return sorted(tokens)


def test_masks_depend_on_seed_and_step_alone() -> None:
    features = mlm_features()
    expected = tokens_of(next(training_batches(features, BatchOptions(batch_size=8), start_step=2)))
    assert any(label >= 0 for _, label in expected)
    ways: list[dict[str, Any]] = [{"layout": "padded"}, {"accumulation": 3}, {"row_length": 48, "few_shapes": False}]
    for options in ways:
        made = next(training_batches(features, BatchOptions(batch_size=8, **options), start_step=2))
        assert tokens_of(made) == expected
    parts = [
        batch
        for rank in range(3)
        for batch in next(training_batches(features, BatchOptions(batch_size=8, rank=rank, world=3), start_step=2))
    ]
    assert tokens_of(parts) == expected
    assert sum(batch.share for batch in parts) == pytest.approx(1)
    other = next(training_batches(features, BatchOptions(batch_size=8, seed=1), start_step=2))
    assert tokens_of(other) != expected


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("few_shapes", [True, False])
def test_outputs_of_evaluation_come_back_in_order(layout: Any, few_shapes: bool) -> None:
    features = numbered(SIZES)
    rows, tokens = [], []
    for batch in evaluation_batches(features, 200, layout, few_shapes=few_shapes):
        ids = np.asarray(batch.inputs["input_ids"])
        if "segment_ids" in batch.inputs:  # what a model would answer: for each segment its first token
            first = [
                [next(iter(row[segments == number]), 0) for number in range(1, batch.inputs["num_segments"] + 1)]
                for row, segments in zip(ids, batch.inputs["segment_ids"], strict=True)
            ]
            rows.append((batch, np.asarray(first)))
        else:
            rows.append((batch, ids[:, 0]))
        tokens.append((batch, ids))
    assert collect_rows(rows, 101).tolist() == list(range(1, 102))
    assert [one.tolist() for one in collect_tokens(tokens, 101)] == [[row + 1] * SIZES[row] for row in range(101)]
    assert sum(batch.weight for batch, _ in rows) == 101


def test_evaluation_of_choices_is_padded() -> None:
    features = numbered(SIZES[:100], choices=4)
    outputs = []
    for batch in evaluation_batches(features, 300):
        assert batch.inputs["input_ids"].shape[1] == 4
        outputs.append((batch, batch.inputs["input_ids"][:, :, 0]))
    assert collect_rows(outputs, 25).tolist() == [[row + 1] * 4 for row in range(25)]


def test_processes_divide_evaluation() -> None:
    features = numbered(SIZES)
    rows = [
        row
        for rank in range(3)
        for batch in evaluation_batches(features, 200, rank=rank, world=3)
        for row in batch.rows
    ]
    assert sorted(rows) == list(range(101))


def test_masks_of_evaluation_stay() -> None:
    features = mlm_features()
    first, second = (
        sorted(token for batch in evaluation_batches(features, size, layout) for token in tokens_of([batch]))
        for size, layout in ((100, "packed"), (300, "padded"))
    )  # type: ignore[arg-type]
    assert first == second


BAD: list[dict[str, Any]] = [{"batch_size": 0}, {"layout": "ragged"}, {"rank": 2, "world": 2}, {"seed": -1}]


@pytest.mark.parametrize("options", BAD, ids=str)
def test_bad_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        BatchOptions(**options)


def test_no_rows() -> None:
    with pytest.raises(InputError, match="no rows"):
        next(training_batches(numbered([]), BatchOptions()))
    assert list(evaluation_batches(numbered([]))) == []
