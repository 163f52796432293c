from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tokenizer_cases import SMALL

from distilbert_common.errors import TokenizerError

TEXTS = ["the quick fox", "a", ""]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "max_length", "max_length": 9},
        {"pad_to_multiple_of": 4, "padding_side": "left"},
        {"return_tensors": "np"},
    ],
    ids=str,
)
def test_padding_later_gives_what_padding_at_once_gives(one: Any, options: dict[str, Any]) -> None:
    columns = {"return_special_tokens_mask": True, "return_token_type_ids": True, "return_offsets_mapping": True}
    expected = one(TEXTS, **{"padding": True, **options}, **columns)
    batch = one(TEXTS, **columns)
    rows = [one(text, **columns) for text in TEXTS]
    for encoded in (batch, rows, [dict(row) for row in rows]):
        padded = one.pad(encoded, **options)
        assert padded.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(np.array(padded[name]), np.array(value), err_msg=name)
    assert batch == one(TEXTS, **columns), "the input was changed"


def test_one_text_stays_one_text(one: Any) -> None:
    padded = one.pad(one("a"), padding="max_length", max_length=5)
    assert padded["input_ids"] == [*one.encode("a"), 0, 0]
    assert padded["attention_mask"] == [1, 1, 1, 0, 0]
    assert one.pad({"input_ids": [2, 3]}) == {"input_ids": [2, 3], "attention_mask": [1, 1]}


def test_other_columns_stay_and_the_mask_is_added(one: Any) -> None:
    rows = [{"input_ids": one.encode(text), "label": index} for index, text in enumerate(TEXTS)]
    padded = one.pad(rows, return_tensors="np")
    assert padded["label"].tolist() == [0, 1, 2]
    assert padded["attention_mask"].sum(axis=1).tolist() == [5, 3, 2]
    assert "attention_mask" not in one.pad(rows, return_attention_mask=False)


def test_tensors_come_back_as_they_came_in(one: Any) -> None:
    rows = [dict(one(text, return_tensors=None)) for text in TEXTS]
    for make, kind in ((np.array, np.ndarray), (torch.tensor, torch.Tensor)):
        padded = one.pad([{name: make(value) for name, value in row.items()} for row in rows])
        assert isinstance(padded["input_ids"], kind)
        assert padded["input_ids"].tolist() == one(TEXTS, padding=True)["input_ids"]


def test_ids_by_another_name(one: Any) -> None:
    other = type(one)(SMALL, model_input_names=["inputs", "attention_mask"])
    assert other.pad({"inputs": [[2, 3], [2]]}) == {"inputs": [[2, 3], [2, 0]], "attention_mask": [[1, 1], [1, 0]]}
    assert other.prepare_for_model([5], padding="max_length", max_length=4)["input_ids"] == [2, 5, 3, 0]


def test_ragged_columns_of_arrays_stay_lists(one: Any) -> None:
    rows = [{"input_ids": np.array(ids), "labels": np.array(ids)} for ids in ([2, 5, 3], [2, 3])]
    padded = one.pad(rows)
    assert padded["input_ids"].tolist() == [[2, 5, 3], [2, 3, 0]]
    assert [len(row) for row in padded["labels"]] == [3, 2]


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        ([], "a list of such"),
        (["a"], "a list of such"),
        (3, "a list of such"),
        ({"labels": [1]}, "pad needs input_ids; got labels"),
        ([{"input_ids": [1]}, {"input_ids": [1], "x": 2}], "the same columns in every row"),
    ],
)
def test_wrong_input(one: Any, encoded: Any, message: str) -> None:
    with pytest.raises(TokenizerError, match=message):
        one.pad(encoded)


def test_rows_that_stay_ragged_are_no_tensor(one: Any) -> None:
    with pytest.raises(TokenizerError, match="padding=True"):
        one.pad(one(TEXTS), padding=False, return_tensors="np")
    with pytest.raises(TokenizerError, match="'label' cannot become a tensor"):
        one.pad([{"input_ids": [2], "label": "good"}], return_tensors="np")
