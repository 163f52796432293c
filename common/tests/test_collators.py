"""Collators on real sentences; the expected batches are written out by hand from the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distilbert_common import DistilBertTokenizerFast
from distilbert_common.collators import (
    DataCollatorForLanguageModeling,
    DataCollatorForMultipleChoice,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    DefaultDataCollator,
)
from distilbert_common.errors import InputError

TEXTS = ["Why hasn't my card been delivered?", "I am still waiting", "How do I track my card?"]


@pytest.fixture(scope="module")
def tokenizer(repository: Path) -> DistilBertTokenizerFast:
    return DistilBertTokenizerFast.from_pretrained(repository / "demo" / "model")


@pytest.fixture(scope="module")
def rows(tokenizer: Any) -> list[dict[str, list[int]]]:
    return [dict(tokenizer(text)) for text in TEXTS]


@pytest.mark.parametrize("name", ["label", "labels", "label_ids"])
def test_rows_are_padded_and_labels_come_along(tokenizer: Any, rows: Any, name: str) -> None:
    batch = DataCollatorWithPadding(tokenizer)([{**row, name: i} for i, row in enumerate(rows)])
    expected = tokenizer(TEXTS, padding=True, return_tensors="np")
    assert set(batch) == {"input_ids", "attention_mask", "labels"}
    assert np.array_equal(batch["input_ids"], expected["input_ids"])
    assert np.array_equal(batch["attention_mask"], expected["attention_mask"])
    assert batch["labels"].tolist() == [0, 1, 2]
    longer = DataCollatorWithPadding(tokenizer, pad_to_multiple_of=16)(rows)
    assert longer["input_ids"].shape == (3, 16)


@pytest.mark.parametrize("side", ["right", "left"])
def test_labels_of_tokens_are_padded_where_the_ids_are(tokenizer: Any, rows: Any, side: str) -> None:
    tokenizer.padding_side = side
    labeled = [{**row, "labels": np.arange(len(row["input_ids"]))} for row in rows]
    batch = DataCollatorForTokenClassification(tokenizer)(labeled)
    tokenizer.padding_side = "right"
    for i, row in enumerate(rows):
        real = batch["attention_mask"][i] == 1
        assert batch["labels"][i][real].tolist() == list(range(len(row["input_ids"])))
        assert (batch["labels"][i][~real] == -100).all()


def test_choices_have_an_axis_of_their_own(tokenizer: Any, rows: Any) -> None:
    pairs = [{name: [rows[0][name], rows[i][name]] for name in rows[0]} | {"label": i - 1} for i in (1, 2)]
    batch = DataCollatorForMultipleChoice(tokenizer)(pairs)
    expected = tokenizer([TEXTS[0], TEXTS[1], TEXTS[0], TEXTS[2]], padding=True, return_tensors="np")
    assert np.array_equal(batch["input_ids"], expected["input_ids"].reshape(2, 2, -1))  # (batch, choices, seq)
    assert batch["labels"].tolist() == [0, 1]


def test_masking_hides_the_tokens_that_are_labels(tokenizer: Any, rows: Any) -> None:
    plain = DataCollatorWithPadding(tokenizer)(rows * 200)["input_ids"]
    batch = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.3, seed=7)(rows * 200)
    picked, ids = batch["labels"] != -100, batch["input_ids"]
    special = np.isin(plain, tokenizer.all_special_ids)
    assert not picked[special].any()
    assert picked[~special].mean() == pytest.approx(0.3, abs=0.03)
    assert np.array_equal(batch["labels"][picked], plain[picked])
    assert np.array_equal(ids[~picked], plain[~picked])
    assert (ids[picked] == tokenizer.mask_token_id).mean() == pytest.approx(0.8, abs=0.03)
    assert (ids[picked] == plain[picked]).mean() == pytest.approx(0.1, abs=0.03)
    again = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.3, seed=7)(rows * 200)
    assert np.array_equal(again["input_ids"], ids)


def test_the_default_stacks_and_says_when_it_cannot(rows: Any) -> None:
    batch = DefaultDataCollator()([{"input_ids": [1, 2], "label": 1, "text": "a"}, {"input_ids": [3, 4], "label": 0}])
    assert batch["input_ids"].tolist() == [[1, 2], [3, 4]]
    assert batch["labels"].tolist() == [1, 0]
    assert "text" not in batch
    with pytest.raises(InputError, match="rows of 'input_ids' have different lengths; give the tokenizer"):
        DefaultDataCollator()(rows)
    with pytest.raises(ValueError, match="masked language modeling"):
        DataCollatorForLanguageModeling(None, mlm=False)
