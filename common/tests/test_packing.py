from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distilbert_common import DistilBertTokenizerFast
from distilbert_common.buckets import bucket, buckets
from distilbert_common.errors import InputError
from distilbert_common.packing import pack, place

LISTS = [[5, 6, 7], [8], [9, 10, 11, 12], [13, 14]]


def first_fit_decreasing(sizes: list[int], length: int) -> list[int]:
    """Return the rows as the textbook fills them, list by list."""
    room: list[int] = []
    rows = [0] * len(sizes)
    for at in sorted(range(len(sizes)), key=lambda at: (-sizes[at], at)):
        fits = [row for row, left in enumerate(room) if left >= sizes[at]]
        rows[at] = fits[0] if fits else len(room)
        if not fits:
            room.append(length)
        room[rows[at]] -= sizes[at]
    return rows


def test_rows_hold_the_lists_one_after_the_other() -> None:
    packed = pack(LISTS, 5)
    assert packed.input_ids.tolist() == [[9, 10, 11, 12, 8], [5, 6, 7, 13, 14]]
    assert packed.position_ids.tolist() == [[0, 1, 2, 3, 0], [0, 1, 2, 0, 1]]
    assert packed.segment_ids.tolist() == [[1, 1, 1, 1, 2], [1, 1, 1, 2, 2]]
    assert (packed.fullness, packed.num_segments) == (1.0, 2)
    assert list(packed.inputs) == ["input_ids", "position_ids", "segment_ids", "num_segments"]
    assert packed.inputs == {**packed.arrays, "num_segments": 2}


@given(st.lists(st.integers(1, 12), max_size=40), st.integers(12, 30), st.integers(1, 4))
def test_any_lists_come_back_and_rows_are_chosen_first_fit_decreasing(
    sizes: list[int], length: int, multiple: int
) -> None:
    rng = np.random.default_rng(0)
    lists = [rng.integers(1, 100, size).tolist() for size in sizes]
    packed = pack(lists, length, rows_multiple=multiple)
    assert packed.placement.row.tolist() == first_fit_decreasing(sizes, length)
    assert [one.tolist() for one in packed.unpack_tokens(packed.input_ids)] == lists
    assert [one.tolist() for one in packed.unpack_tokens(packed.position_ids)] == [list(range(n)) for n in sizes]
    assert np.count_nonzero(packed.segment_ids) == sum(sizes)
    assert len(packed.input_ids) % multiple == 0
    assert packed.unpack_lists(packed.pack_lists(np.arange(len(sizes)))).tolist() == list(range(len(sizes)))


def test_labels_go_where_the_tokens_go() -> None:
    packed = pack(LISTS, 6)
    labels = packed.pack_tokens([[0, 1, 2], [3], [4, 5, 6, 7], [8, 9]])
    assert [one.tolist() for one in packed.unpack_tokens(labels)] == [[0, 1, 2], [3], [4, 5, 6, 7], [8, 9]]
    assert (labels[packed.segment_ids == 0] == -100).all()
    with pytest.raises(InputError, match="one value per token"):
        packed.pack_tokens([[0], [3], [4, 5, 6, 7], [8, 9]])
    with pytest.raises(InputError, match="3 values were given for 4 packed lists"):
        packed.pack_lists([1, 2, 3])


def test_real_sentences_fill_more_than_97_percent(repository: Path) -> None:
    tokenizer = DistilBertTokenizerFast.from_pretrained(repository / "demo" / "model")
    with (repository / "demo" / "data" / "banking77_test.csv").open(encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    lists = tokenizer(texts, truncation=True, max_length=128)["input_ids"]
    assert len(lists) == 3080
    for length in (128, 256, 512):
        assert pack(lists, length).fullness > 0.97


@pytest.mark.parametrize("sizes", [[3, 0], [4, 9]])
def test_lists_that_do_not_fit_are_refused(sizes: list[int]) -> None:
    with pytest.raises(InputError, match=r"the lists hold .* packing into rows of 8 takes 1 to 8"):
        place(sizes, 8)


def test_no_lists() -> None:
    packed = pack([], 8)
    assert packed.input_ids.shape == (0, 8)
    assert packed.unpack_tokens(packed.input_ids) == []


class TestBuckets:
    def test_at_most_a_quarter_is_empty_and_a_bucket_is_its_own(self) -> None:
        for size in range(1, 5000):
            assert size <= bucket(size) < size * 1.25
            assert bucket(bucket(size)) == bucket(size)

    def test_limits(self) -> None:
        assert buckets(64, smallest=8) == [8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64]
        assert bucket(460, largest=500) == 500
        assert bucket(600, largest=512) == 600

    def test_the_number_of_programs_is_bounded(self) -> None:
        assert len(buckets(512, smallest=8)) == 25
