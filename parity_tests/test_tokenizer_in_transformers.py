"""Our tokenizers inside transformers and datasets: collators, `map` and pipelines work as with transformers' own."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
import transformers
from accelerate.utils import send_to_device
from torch.utils.data import default_collate

from distilbert_common import DistilBertConfig, DistilBertTokenizer, DistilBertTokenizerFast
from distilbert_pt import DistilBertForMaskedLM, DistilBertForTokenClassification

VOCAB = Path(__file__).resolve().parents[1] / "common" / "tests" / "data" / "vocab.txt"
TEXTS = ["the quick brown fox, unaffable", "a dog."]
CONFIG = DistilBertConfig(vocab_size=353, n_layers=1, dim=16, n_heads=2, hidden_dim=32)


@pytest.fixture(scope="module", params=[DistilBertTokenizer, DistilBertTokenizerFast], ids=lambda cls: cls.__name__)
def ours(request: pytest.FixtureRequest) -> Any:
    return request.param(VOCAB)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("saved")
    DistilBertTokenizerFast(VOCAB).save_pretrained(folder)
    return transformers.DistilBertTokenizerFast.from_pretrained(folder)


def collate(make: Callable[[Any], Any], tokenizer: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    return {name: np.asarray(value) for name, value in make(tokenizer)(rows).items()}


def rows_for_labels(tokenizer: Any, kind: Callable[[Any], Any]) -> list[dict[str, Any]]:
    rows = [dict(tokenizer(text)) for text in TEXTS]
    return [{name: kind(value) for name, value in {**row, "labels": row["input_ids"]}.items()} for row in rows]


@pytest.mark.parametrize("tensors", ["pt", "np"])
@pytest.mark.parametrize("kind", [list, np.array], ids=["lists", "arrays"])
@pytest.mark.parametrize(
    "collator",
    [transformers.DataCollatorForTokenClassification, transformers.DataCollatorForSeq2Seq],
    ids=lambda collator: collator.__name__,
)
def test_collators_of_labels(ours: Any, theirs: Any, collator: Any, kind: Any, tensors: str) -> None:
    def make(tokenizer: Any) -> Any:
        return collator(tokenizer, return_tensors=tensors)

    expected = collate(make, theirs, rows_for_labels(theirs, kind))
    result = collate(make, ours, rows_for_labels(ours, kind))
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(result[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("make", "columns"),
    [
        (lambda one: transformers.DataCollatorWithPadding(one, pad_to_multiple_of=8), {}),
        (lambda one: transformers.DataCollatorForLanguageModeling(one), {}),
        (lambda one: transformers.DataCollatorForLanguageModeling(one), {"return_special_tokens_mask": True}),
        (
            lambda one: transformers.DataCollatorForLanguageModeling(one, whole_word_mask=True),
            {"return_offsets_mapping": True, "padding": "max_length", "max_length": 16},
        ),
    ],
    ids=["padding", "masking", "masking with a mask", "whole words"],
)
def test_collators_of_ids(ours: Any, theirs: Any, make: Any, columns: dict[str, Any]) -> None:
    expected = collate(make, theirs, [theirs(text, **columns) for text in TEXTS])
    result = collate(make, ours, [ours(text, **columns) for text in TEXTS])
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(result[name], value, err_msg=name)


def test_the_collator_for_whole_words_of_transformers_4(ours: Any) -> None:
    assert [ours._convert_id_to_token(index) for index in ours.encode("unaffable")[1:-1]] == ["un", "##aff", "##able"]


def test_datasets(ours: Any) -> None:
    rows = datasets.Dataset.from_dict({"text": TEXTS, "words": [text.split() for text in TEXTS], "label": [0, 1]})
    texts = rows.map(lambda batch: ours(batch["text"], truncation=True), batched=True)
    assert texts["input_ids"][:] == ours(TEXTS)["input_ids"]
    assert ours(rows["text"])["input_ids"] == ours(TEXTS)["input_ids"]
    words = rows.map(lambda batch: ours(batch["words"], is_split_into_words=True), batched=True)
    assert words["input_ids"][:] == ours(TEXTS)["input_ids"]
    tensors = texts.remove_columns(["text", "words"]).with_format("torch")
    assert transformers.DataCollatorWithPadding(ours)([tensors[0], tensors[1]])["labels"].tolist() == [0, 1]


def test_a_fingerprint_does_not_change_with_use(ours: Any) -> None:
    before = datasets.fingerprint.Hasher.hash(ours)
    ours(TEXTS)
    assert datasets.fingerprint.Hasher.hash(ours) == before


def test_moving_and_collating_gives_a_batch_of_the_same_kind(ours: Any) -> None:
    batch = ours(TEXTS, padding=True, return_tensors="pt")
    for other in (send_to_device(batch, "cpu", skip_keys=["attention_mask"]), default_collate([batch, batch])):
        assert type(other) is type(batch)
        assert other.word_ids(1) == batch.word_ids(1)


@pytest.mark.parametrize("strategy", ["none", "simple", "first"])
def test_the_pipeline_for_tokens_finds_the_same_words(theirs: Any, strategy: str) -> None:
    torch.manual_seed(0)
    model = DistilBertForTokenClassification(CONFIG).eval()
    expected, result = (
        transformers.pipeline("token-classification", model=model, tokenizer=one, aggregation_strategy=strategy)(TEXTS)
        for one in (theirs, DistilBertTokenizerFast(VOCAB))
    )
    assert [[(part["word"], part["start"], part["end"]) for part in parts] for parts in result] == [
        [(part["word"], part["start"], part["end"]) for part in parts] for parts in expected
    ]


def test_the_pipeline_for_masks(ours: Any, theirs: Any) -> None:
    torch.manual_seed(0)
    model = DistilBertForMaskedLM(CONFIG).eval()
    expected, result = (
        transformers.pipeline("fill-mask", model=model, tokenizer=one, top_k=3)("the [MASK] fox")
        for one in (theirs, ours)
    )
    assert [part["sequence"] for part in result] == [part["sequence"] for part in expected]
