"""Masks and batches of a corpus: which tokens are predicted, how full rows are, and what does not depend on how."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
import pytest
from data_cases import BANKING, tokenizer

from distilbert_common.errors import InputError
from distilbert_common.packing import place
from distilbert_common.training import MicroBatch
from distilbert_tasks.batches import BatchOptions, numbered_batches, steps_per_epoch, training_batches
from distilbert_tasks.batches.packed_epochs import row_pattern
from distilbert_tasks.corpus import Corpus, CorpusOptions, build_corpus
from distilbert_tasks.corpus.masking import CountMasking
from distilbert_tasks.features import Features

TOKENIZER = tokenizer()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    lines = BANKING.read_text(encoding="utf-8").splitlines()[1:]
    return build_corpus({"text": lines}, TOKENIZER, tmp_path_factory.mktemp("run") / "corpus", CorpusOptions())


def test_as_many_tokens_are_predicted_as_the_paper_says(corpus: Corpus) -> None:
    special = [TOKENIZER.cls_token_id, TOKENIZER.sep_token_id, TOKENIZER.pad_token_id, TOKENIZER.unk_token_id]
    for size in (1, 7, 100, 5001):
        ids = np.resize(corpus.input_ids.values, size)
        inputs, labels = corpus.masking.apply(ids, (0, 3, 0))
        predicted = labels != -100
        assert predicted.sum() == min(ceil(0.15 * size), (~np.isin(ids, special)).sum())
        assert np.array_equal(labels[predicted], ids[predicted])
        assert np.array_equal(inputs[~predicted], ids[~predicted])
        assert not np.isin(labels, special).any()
    fates = [(inputs == TOKENIZER.mask_token_id)[predicted].mean(), (inputs == ids)[predicted].mean()]
    assert np.allclose(fates, [0.8, 0.1], atol=4 * np.sqrt(0.16 / predicted.sum()))  # four standard deviations


def test_tokens_are_drawn_without_replacement_by_their_weights() -> None:
    counts, draws = np.asarray([0, 1, 16, 81]), 8_000
    masking = CountMasking.of(counts, 4, [], 0.5, 0.5)
    weights = np.asarray([1, 1, 1 / 4, 1 / 9])
    assert np.allclose(masking.weights, weights)
    drawn = np.zeros(4)
    for step in range(draws):
        drawn += masking.apply(np.arange(4), (0, step))[1] != -100
    first = weights / weights.sum()
    second = [
        sum(first[other] * weights[token] / (weights.sum() - weights[other]) for other in range(4) if other != token)
        for token in range(4)
    ]
    assert np.allclose(drawn / draws, first + second, atol=4 * 0.5 / np.sqrt(draws))  # four standard deviations at most


def test_masks_never_change() -> None:
    masking = CountMasking.of(np.arange(40), 39, [0])
    inputs, labels = masking.apply(np.arange(40), (56, 7, 0))
    assert (np.flatnonzero(labels >= 0).tolist(), inputs[labels >= 0].tolist()) == MASKED


MASKED = ([1, 4, 17, 22, 27, 29], [5, 39, 39, 39, 39, 17])


def rows_of(batches: list[MicroBatch]) -> list[tuple[Any, ...]]:
    """Return the rows of micro batches, inputs and labels, in no order; empty rows are left out."""
    rows = []
    for batch in batches:
        columns = (*batch.inputs.values(), batch.labels["labels"])
        rows += [tuple(map(tuple, row)) for row in zip(*(c.tolist() for c in columns), strict=True) if any(row[2])]
    return sorted(rows)


@pytest.mark.parametrize("few_shapes", [True, False])
def test_a_step_is_the_same_however_it_is_divided(corpus: Corpus, few_shapes: bool) -> None:
    options: dict[str, Any] = {"tokens_per_batch": 2048, "few_shapes": few_shapes, "seed": 5}

    def step(**changes: Any) -> list[MicroBatch]:
        batch_options = BatchOptions(**options, row_length=128, **changes)
        return next(training_batches(corpus.features, batch_options, start_step=30))

    alone = step()
    assert len(alone) == alone[0].share == alone[0].token_share == 1
    for accumulation, world in ((3, 1), (1, 2), (4, 3), (40, 1)):
        parts = [step(accumulation=accumulation, world=world, rank=rank) for rank in range(world)]
        batches = [batch for part in parts for batch in part]
        assert rows_of(batches) == rows_of(alone)
        assert sum(batch.share for batch in batches) == pytest.approx(1)
        assert sum(batch.token_share for batch in batches) == pytest.approx(1)
        tokens = [int((batch.inputs["segment_ids"] > 0).sum()) for batch in batches]
        assert [batch.token_share for batch in batches] == pytest.approx(np.asarray(tokens) / sum(tokens))
        for micro in zip(*parts, strict=True):
            assert len({batch.inputs["input_ids"].shape for batch in micro}) == 1


@pytest.mark.parametrize("tokens", [1024, 4096])
def test_an_epoch_has_every_sequence_once_in_rows_of_one_shape_that_are_nearly_full(
    corpus: Corpus, tokens: int
) -> None:
    options = BatchOptions(tokens_per_batch=tokens, row_length=256)
    steps = steps_per_epoch(corpus.features, options)
    epochs = []
    for epoch in range(2):
        taken, capacity, shapes = [], 0, set()
        for _, batches in numbered_batches(corpus.features, options, range(epoch * steps, (epoch + 1) * steps)):
            for batch, _ in batches:
                masked = batch.labels["labels"] >= 0
                ids = np.where(masked, batch.labels["labels"], batch.inputs["input_ids"])
                segments, positions = batch.inputs["segment_ids"], batch.inputs["position_ids"]
                starts = np.argwhere((positions == 0) & (segments > 0))
                taken += [ids[r, c:][segments[r, c:] == segments[r, c]].tolist() for r, c in starts]
                capacity += ids.size
                shapes.add(ids.shape)
        epochs.append(taken)
        assert sorted(taken) == sorted(corpus[index].tolist() for index in range(len(corpus)))
        assert len(shapes) == 1
        assert corpus.statistics.tokens / capacity > 0.96
    assert epochs[0] != epochs[1]


def test_rows_are_filled_by_the_longest_lists_first() -> None:
    for shortest, longest in ((1, 60), (12, 64), (3, 20)):
        sizes = -np.sort(-np.random.default_rng(0).integers(shortest, longest, 2000))
        pattern = row_pattern(sizes, 64)
        assert np.bincount(pattern, weights=sizes).max() <= 64
        assert len(np.unique(pattern)) == pattern.max() + 1 <= place(sizes, 64).rows
    assert row_pattern(np.asarray([64, 40, 30, 24, 24, 10]), 64).tolist() == [0, 1, 2, 1, 2, 2]


def test_a_number_of_sequences_is_about_that_of_a_step(corpus: Corpus) -> None:
    for size in (8, 16, 100):
        options = BatchOptions(batch_size=size, row_length=64)
        steps = training_batches(corpus.features, options, stop_step=10)
        sequences = [int((batch.inputs["segment_ids"].max(axis=1)).sum()) for (batch,) in steps]
        assert 0.75 * size < np.mean(sequences) < 1.3 * size


def test_numbers_tell_which_token_of_the_step_is_where(corpus: Corpus) -> None:
    plain = replace(corpus.features, details={"masking": corpus.masking})  # not packed by epochs
    for features in (corpus.features, plain):
        check_numbers(features)


def check_numbers(features: Features) -> None:
    for size in ({"tokens_per_batch": 1024}, {"batch_size": 20}):
        for layout in ("packed", "padded"):
            options = [
                BatchOptions(**size, layout=layout, accumulation=2, world=2, rank=rank)  # type: ignore[arg-type]
                for rank in range(2)
            ]
            alone = BatchOptions(**size, layout=layout)  # type: ignore[arg-type]
            ((_, expected),) = numbered_batches(features, alone, [3])
            parts = [batch for one in options for _, step in numbered_batches(features, one, [3]) for batch in step]
            tokens = [dict(by_number([batch])) for batch in parts]
            merged = {number: token for part in tokens for number, token in part.items()}
            assert merged == dict(by_number(expected))
            assert sorted(merged) == list(range(sum(map(len, tokens))))


def by_number(batches: Any) -> list[tuple[int, int]]:
    """Return the number and the id of each token."""
    return [
        (int(number), int(token))
        for batch, numbers in batches
        for number, token in zip(numbers.reshape(-1), batch.inputs["input_ids"].reshape(-1), strict=True)
        if number >= 0
    ]


def test_a_step_takes_the_longest_sequence(corpus: Corpus) -> None:
    longest = int(corpus.input_ids.sizes.max())
    with pytest.raises(InputError, match=f"a row has {longest} tokens, more than tokens_per_batch \\(10\\)"):
        steps_per_epoch(corpus.features, BatchOptions(tokens_per_batch=10))
    (batch,) = next(training_batches(corpus.features, BatchOptions(tokens_per_batch=longest)))
    assert batch.inputs["input_ids"].shape == (1, -(-longest // 8) * 8)


def test_a_corpus_can_be_opened_with_another_masking(corpus: Corpus) -> None:
    uniform = Corpus.open(corpus.folder, CorpusOptions(mask_probability=0.5, mask_smoothing=0.0))
    assert set(uniform.masking.weights.tolist()) == {0.0, 1.0}
    ids = corpus.input_ids.values[:1000]
    assert (uniform.masking.apply(ids, (0, 0))[1] >= 0).sum() == 500
    order = [index for index in np.argsort(corpus.counts) if corpus.counts[index] and corpus.masking.weights[index]]
    rare, common = order[0], order[-1]
    ratio = corpus.masking.weights[rare] / corpus.masking.weights[common]
    assert ratio == pytest.approx((corpus.counts[common] / corpus.counts[rare]) ** 0.7)
