from __future__ import annotations

import numpy as np
import pytest

from distilbert_common.buckets import bucket
from distilbert_common.unpadding import UNPAD_THRESHOLD, pack_batch, power_of_two


def mask_of(*sizes: int) -> np.ndarray:
    return np.arange(max(sizes)) < np.array(sizes)[:, None]


@pytest.mark.parametrize(
    "mask",
    [
        mask_of(9, 1, 3, 2, 4, 5, 1),
        mask_of(9, 1, 3, 2, 4, 5, 1)[:, ::-1],
        mask_of(9, 0, 3, 0, 4),
        np.random.default_rng(0).random((12, 20)) < 0.3,
    ],
    ids=["padding", "padding at the left", "empty rows", "holes"],
)
@pytest.mark.parametrize("rounded", [True, False])
def test_every_token_has_its_place_and_comes_back(mask: np.ndarray, rounded: bool) -> None:
    packing = pack_batch(mask, int(mask.sum(1).max()), rounded=rounded)
    assert packing is not None
    values = np.arange(mask.size) + 1  # one number for each place of the batch
    packed = np.where(packing.segment_ids > 0, values[packing.indices], 0)  # (rows, length)
    assert packed[packed > 0].size == mask.sum()
    back = np.where(packing.inverse >= 0, packed.ravel()[packing.inverse], 0)
    assert (back == np.where(mask, values.reshape(mask.shape), 0)).all()


def test_segments_are_the_rows_of_the_batch() -> None:
    mask = np.random.default_rng(1).random((15, 24)) < 0.4
    packing = pack_batch(mask, 24)
    assert packing is not None
    of = packing.indices // 24  # (rows, length): the row of the batch that each token comes from
    for row, segments in zip(of, packing.segment_ids, strict=True):
        for segment in range(1, segments.max() + 1):
            assert len(set(row[segments == segment])) == 1
            assert (np.diff(np.flatnonzero(segments == segment)) == 1).all()


def test_it_says_where_it_does_not_pay() -> None:
    assert pack_batch(np.zeros((3, 4), bool), 4) is None
    assert pack_batch(mask_of(8, 8, 7, 8), 8) is None
    assert pack_batch(mask_of(8, 5, 5, 5), 8) is None, "no two of them fit a row"
    packing = pack_batch(mask_of(8, 2, 2, 2), 8)
    assert packing is not None
    assert packing.indices.size <= UNPAD_THRESHOLD * 32


def test_the_number_of_rows_is_a_bucket() -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        packing = pack_batch(mask_of(40, *rng.integers(1, 20, size=60)), 40)
        assert packing is not None
        assert len(packing.indices) == bucket(len(packing.indices))


@pytest.mark.parametrize(("size", "expected"), [(1, 16), (16, 16), (17, 32), (100, 128), (300, 400), (500, 500)])
def test_lengths_are_powers_of_two_up_to_the_longest(size: int, expected: int) -> None:
    assert power_of_two(size, 400) == expected
