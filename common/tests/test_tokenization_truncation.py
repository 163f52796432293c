from __future__ import annotations

import pytest

from distilbert_common.errors import TokenizerError
from distilbert_common.tokenization.truncation import Row, Truncation, plan_rows


def plan(
    first: list[int],
    second: list[int] | None = None,
    *,
    strategy: str | None = "longest_first",
    length: int = 10,
    stride: int = 0,
    side: str = "right",
    specials: int = 0,
    overflow: bool = False,
) -> list[tuple[int, ...]]:
    """Plan rows and give each as (sample, first start, first stop, second start, second stop)."""
    rows = plan_rows(first, second, Truncation(strategy, length, stride, side), (specials, specials), overflow)
    parts = [(row.first, *([] if row.second is None else [row.second])) for row in rows]
    assert [sum(part.stop - part.start for part in row) for row in parts] == [row.length for row in rows]
    return [
        (row.sample, *(edge for part in row_parts for edge in (part.start, part.stop)))
        for row, row_parts in zip(rows, parts, strict=True)
    ]


def test_without_truncation() -> None:
    assert plan([3, 50], strategy=None) == [(0, 0, 3), (1, 0, 50)]
    assert plan([3], [50], strategy=None) == [(0, 0, 3, 0, 50)]
    assert Row(0, slice(0, 3), slice(2, 6)).length == 7


def test_special_tokens_take_room() -> None:
    assert plan([9, 8], specials=2) == [(0, 0, 8), (1, 0, 8)]
    assert plan([9, 8], specials=2, side="left") == [(0, 1, 9), (1, 0, 8)]


def test_overflow_covers_the_text_with_the_stride_as_overlap() -> None:
    assert plan([10], length=4, stride=1, overflow=True) == [(0, 0, 4), (0, 3, 7), (0, 6, 10)]
    assert plan([9], length=4, stride=1, overflow=True) == [(0, 0, 4), (0, 3, 7), (0, 6, 9)]
    assert plan([9], length=4, stride=1, overflow=True, side="left") == [(0, 5, 9), (0, 2, 6), (0, 0, 3)]
    assert plan([9, 2, 5], length=4, stride=0, overflow=True) == [
        (0, 0, 4), (0, 4, 8), (0, 8, 9), (1, 0, 2), (2, 0, 4), (2, 4, 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [((8, 1), (8, 1)), ((8, 4), (6, 4)), ((4, 8), (4, 6)), ((9, 9), (5, 5)), ((20, 5), (5, 5)), ((5, 20), (5, 5))],
)
def test_longest_first_shares_the_room(lengths: tuple[int, int], sizes: tuple[int, int]) -> None:
    assert plan([lengths[0]], [lengths[1]]) == [(0, 0, sizes[0], 0, sizes[1])]


def test_longest_first_gives_the_odd_token_to_the_longer_text() -> None:
    assert plan([9], [9], length=7) == [(0, 0, 3, 0, 4)]
    assert plan([9], [8], length=7) == [(0, 0, 4, 0, 3)]
    assert plan([8], [9], length=7) == [(0, 0, 3, 0, 4)]


def test_only_one_text_is_cut() -> None:
    assert plan([9], [4], strategy="only_first") == [(0, 0, 6, 0, 4)]
    assert plan([4], [9], strategy="only_second") == [(0, 0, 4, 0, 6)]
    assert plan([4], [9], strategy="only_second", length=8, stride=2, overflow=True) == [
        (0, 0, 4, 0, 4), (0, 0, 4, 2, 6), (0, 0, 4, 4, 8), (0, 0, 4, 6, 9),
    ]  # fmt: skip


def test_overflow_of_both_texts_comes_in_the_order_of_the_library() -> None:
    assert plan([6], [6], length=6, overflow=True) == [
        (0, 0, 3, 0, 3), (0, 3, 6, 0, 3), (0, 3, 6, 3, 6), (0, 0, 3, 3, 6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "options", "message"),
    [
        ([6], [9], {"strategy": "only_first", "length": 9}, "cannot bring sample 0, with texts of 6 and 9 tokens"),
        ([20], None, {"strategy": "only_second"}, "cannot bring sample 0, with texts of 20 tokens"),
        ([20], None, {"length": 1, "specials": 2}, "max_length=1 leaves -1 tokens beside 2 special tokens"),
        ([20], None, {"length": 2, "specials": 2, "overflow": True}, "at least 1 are needed"),
        ([20], None, {"length": 4, "specials": 2, "stride": 2}, "stride=2 must be smaller"),
        ([20], [20], {"length": 8, "stride": 4}, "stride=4 must be smaller than the 4 tokens"),
    ],
)
def test_what_cannot_be_done(first: list[int], second: list[int] | None, options: dict, message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        plan(first, second, **options)


def test_no_room_at_all_leaves_the_special_tokens() -> None:
    assert plan([20], length=2, specials=2) == [(0, 0, 0)]
