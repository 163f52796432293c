"""What a teacher gave ahead of time: the same for every layout, number of processes and moment of a kill."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import BANKING, tokenizer
from forks import content, killed_at_any_moment, together

from distilbert_common.errors import InputError, OutputExistsError, UnreadableFileError
from distilbert_common.training import Arrays, MicroBatch
from distilbert_tasks.batches import BatchOptions, training_batches
from distilbert_tasks.corpus import Corpus, CorpusOptions, TeacherCache, ask_teacher, batch_facts, build_corpus
from distilbert_tasks.training.progress import Asking

TOP_K, DIM = 3, 4
FACTS = {"corpus": "1234", "teacher": "abcd", "top_k": TOP_K}
OPTIONS = BatchOptions(batch_size=12, seed=3, few_shapes=False)
PADDED = replace(OPTIONS, layout="padded")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    lines = BANKING.read_text(encoding="utf-8").splitlines()[1:100]
    return build_corpus({"text": lines}, tokenizer(), tmp_path_factory.mktemp("run") / "corpus", CorpusOptions())


def teacher(inputs: Mapping[str, Any]) -> Arrays:
    """Return answers that tell the token and its position in its sequence, 0 at padding."""
    ids = np.asarray(inputs["input_ids"], np.int32)
    mask = np.asarray(inputs.get("segment_ids", inputs.get("attention_mask"))) > 0
    positions = inputs.get("position_ids", np.broadcast_to(np.arange(ids.shape[1]), ids.shape))
    told = np.stack([ids, positions, ids + positions], axis=-1) * mask[..., None]  # (batch, seq, top_k)
    hidden = np.sin(np.arange(1, DIM + 1) * ids[..., None] + positions[..., None]) * mask[..., None]
    return {
        "indices": told.astype(np.int32),
        "logits": (told / 7).astype(np.float32),
        "hidden": hidden.astype(np.float32),
    }


def ask(corpus: Corpus, folder: Path, options: BatchOptions, steps: int, tell: Callable[..., None] = print) -> Any:
    cache = TeacherCache.open(folder, FACTS | batch_facts(options), steps)
    ask_teacher(cache, teacher, corpus.features, options, tell)
    return cache


def check_aligned(batch: MicroBatch) -> None:
    assert batch.teacher is not None
    expected = teacher(batch.inputs)
    assert set(batch.teacher) == set(expected)
    assert batch.teacher["indices"].dtype == np.int32
    assert np.array_equal(batch.teacher["indices"], expected["indices"])
    assert np.array_equal(batch.teacher["logits"], expected["logits"])
    assert np.array_equal(batch.teacher["hidden"], expected["hidden"].astype(np.float16))


WAYS: list[dict[str, Any]] = [
    {"few_shapes": True},
    {"few_shapes": True, "accumulation": 3},
    {"accumulation": 2, "world": 2, "rank": 1},
]


@pytest.mark.parametrize("options", [OPTIONS, PADDED])
def test_answers_lie_as_the_tokens_of_each_micro_batch(corpus: Corpus, tmp_path: Path, options: BatchOptions) -> None:
    cache = ask(corpus, tmp_path / "cache", options, 4)
    for changes in WAYS:
        other = replace(options, **changes)
        for batches in training_batches(corpus.features, other, stop_step=4, teacher=cache):
            for batch in batches:
                check_aligned(batch)


@pytest.mark.parametrize("options", [OPTIONS, PADDED])
def test_a_longer_run_repeats_what_was_asked(corpus: Corpus, tmp_path: Path, options: BatchOptions) -> None:
    cache = ask(corpus, tmp_path / "cache", options, 3)
    run = list(training_batches(corpus.features, options, stop_step=8, teacher=cache))
    plain = list(training_batches(corpus.features, options, stop_step=3))
    for step, batches in enumerate(run):
        for batch, other in zip(batches, plain[step % 3], strict=True):
            check_aligned(batch)
            assert np.array_equal(batch.labels["labels"], other.labels["labels"])
            assert np.array_equal(batch.inputs["input_ids"], other.inputs["input_ids"])
    resumed = next(training_batches(corpus.features, options, start_step=7, teacher=cache))
    assert np.array_equal(resumed[0].inputs["input_ids"], run[7][0].inputs["input_ids"])


def test_asking_that_is_killed_at_any_moment_goes_on(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # what a loss of power leaves is not tested
    ask(corpus, tmp_path / "expected", OPTIONS, 3)
    left, count = set(), 0
    for moment, folder in killed_at_any_moment(tmp_path / "killed", lambda f, tick: ask(corpus, f, OPTIONS, 3, tick)):
        there = len(list(folder.glob("step-*")))
        events: list[Any] = []
        ask(corpus, folder, OPTIONS, 3, events.append)
        assert content(folder) == content(tmp_path / "expected"), f"killed at moment {moment}"
        assert len([event for event in events if isinstance(event, Asking)]) == 3 - there
        left.add(there)
        count += 1
    assert left == {0, 1, 2, 3}
    assert count > 15


def test_processes_ask_for_their_parts_and_wait_for_the_others(corpus: Corpus, tmp_path: Path) -> None:
    ask(corpus, tmp_path / "alone", replace(OPTIONS, accumulation=2), 5)

    def work(rank: int) -> int:
        options = replace(OPTIONS, rank=rank, world=2)
        cache = ask(corpus, tmp_path / "together", options, 5, lambda event: None)
        for batches in training_batches(corpus.features, options, stop_step=5, teacher=cache):
            for batch in batches:
                check_aligned(batch)
        return 0

    assert together(lambda: work(0), lambda: work(1)) == [0, 0]
    assert content(tmp_path / "together") == content(tmp_path / "alone")


def test_answers_of_another_run_are_not_taken(corpus: Corpus, tmp_path: Path) -> None:
    cache = ask(corpus, tmp_path / "cache", OPTIONS, 2)
    facts = FACTS | batch_facts(OPTIONS)
    assert cache.is_complete
    assert TeacherCache.open(cache.folder, facts, 3).missing() == [2]
    with pytest.raises(InputError, match="of something else: teacher; teacher was 'abcd' and is 'ffff'"):
        TeacherCache.open(cache.folder, facts | {"teacher": "ffff"}, 2)
    with pytest.raises(InputError, match="of something else: seed;"):
        TeacherCache.open(cache.folder, FACTS | batch_facts(replace(OPTIONS, seed=4)), 2)
    TeacherCache.open(cache.folder, FACTS | batch_facts(replace(OPTIONS, accumulation=4, world=2)), 2)
    with pytest.raises(InputError, match="of something else: hidden_type;"):
        TeacherCache.open(cache.folder, facts, 2, hidden_type="float32")
    with pytest.raises(OutputExistsError, match="holds no answers of a teacher"):
        TeacherCache.open(corpus.folder, facts, 2)
    anew = TeacherCache.open(cache.folder, facts | {"teacher": "ffff"}, 2, overwrite=True)
    assert anew.missing() == [0, 1]


def test_answers_that_are_missing_or_damaged_are_told(corpus: Corpus, tmp_path: Path) -> None:
    cache = ask(corpus, tmp_path / "cache", OPTIONS, 3)
    path = cache.folder / "step-00000001.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UnreadableFileError, match=r"step-00000001.*remove it, and the teacher is asked again"):
        list(training_batches(corpus.features, OPTIONS, stop_step=3, teacher=cache))
    path.unlink()
    with pytest.raises(InputError, match="the teacher was not asked for step 1"):
        list(training_batches(corpus.features, OPTIONS, stop_step=3, teacher=cache))
    assert cache.missing() == [1]
    ask(corpus, cache.folder, OPTIONS, 3)
    assert len(list(training_batches(corpus.features, OPTIONS, stop_step=3, teacher=cache))) == 3


def test_values_that_float16_does_not_hold_are_told(corpus: Corpus, tmp_path: Path) -> None:
    def large(inputs: Mapping[str, Any]) -> Arrays:
        outputs = teacher(inputs)
        return outputs | {"hidden": outputs["hidden"] * 1e5}

    cache = TeacherCache.open(tmp_path / "cache", FACTS, 1)
    with pytest.raises(InputError, match="hidden of step 0 hold values that are not finite in float16, up to"):
        ask_teacher(cache, large, corpus.features, OPTIONS)
    wide = TeacherCache.open(tmp_path / "wide", FACTS, 1, hidden_type="float32")
    ask_teacher(wide, large, corpus.features, OPTIONS)
    (batch,) = next(training_batches(corpus.features, OPTIONS, teacher=wide))
    assert batch.teacher is not None
    assert np.array_equal(batch.teacher["hidden"], large(batch.inputs)["hidden"])
