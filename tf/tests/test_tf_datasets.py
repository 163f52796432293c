"""`prepare_tf_dataset` on real sentences, and the loss that a model computes of its batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import keras
import numpy as np
import pytest
from tf_models import CLASSES, small

from distilbert_common.errors import InputError
from distilbert_tf import (
    DataCollatorForLanguageModeling,
    DataCollatorForMultipleChoice,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    DistilBertTokenizerFast,
)

TEXTS = ["Why hasn't my card been delivered?", "I am still waiting", "How do I track it?", "My card is lost", "Where"]
LABELS = [0, 2, 1, 1, 0]
TOKENIZER = DistilBertTokenizerFast.from_pretrained(Path(__file__).parents[2] / "demo" / "model")
PADDED = TOKENIZER(TEXTS, padding=True, return_tensors="np")
ROWS = [dict(TOKENIZER(text)) for text in TEXTS]
TABLE = datasets.Dataset.from_dict({"text": TEXTS, **TOKENIZER(TEXTS)})


def model_of(head: str, **fields: Any) -> Any:
    model = CLASSES[head](small(vocab_size=len(TOKENIZER), n_layers=1, dropout=0.0, **fields))
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return model


@pytest.mark.parametrize(
    "data",
    [
        TABLE.add_column("label", LABELS),
        TABLE.add_column("label", LABELS).with_format("tf"),
        [{**row, "label": label} for row, label in zip(ROWS, LABELS, strict=True)],
        {**TOKENIZER(TEXTS), "labels": LABELS},
    ],
    ids=["datasets", "datasets in a format", "rows", "columns"],
)
def test_each_form_of_a_data_set(data: Any) -> None:
    model = model_of("ForSequenceClassification", num_labels=3)
    expected = float(model(PADDED, labels=np.array(LABELS)).loss)
    batches = model.prepare_tf_dataset(data, batch_size=2, shuffle=False, tokenizer=TOKENIZER)
    assert len(batches) == 3
    first, labels = next(iter(batches))
    assert set(first) == {"input_ids", "attention_mask"}
    assert np.array_equal(first["input_ids"], TOKENIZER(TEXTS[:2], padding=True, return_tensors="np")["input_ids"])
    assert labels.numpy().tolist() == LABELS[:2]
    assert model.evaluate(batches, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_shuffled_batches_are_whole_and_differ_by_epoch() -> None:
    model = model_of("ForSequenceClassification", num_labels=3)
    rows = [{"input_ids": [2, 5, 3], "labels": i} for i in range(20)]
    batches = model.prepare_tf_dataset(rows, batch_size=8)
    first, second = (np.concatenate([labels for _, labels in batches]).tolist() for _ in range(2))
    assert len(batches) == 2, "the last, smaller batch is left out"
    assert len(set(first)) == 16
    assert first != second
    batches = model.prepare_tf_dataset(rows, batch_size=8, drop_remainder=False, prefetch=False)
    assert sorted(np.concatenate([labels for _, labels in batches]).tolist()) == list(range(20))


def test_labels_of_tokens() -> None:
    model = model_of("ForTokenClassification", num_labels=3)
    labels = [[i % 3 for i in range(len(row["input_ids"]))] for row in ROWS]
    collate = DataCollatorForTokenClassification(TOKENIZER)
    batches = model.prepare_tf_dataset(
        TABLE.add_column("labels", labels), batch_size=5, shuffle=False, collate_fn=collate
    )
    array = np.full(PADDED["input_ids"].shape, -100)
    for row, values in zip(array, labels, strict=True):
        row[: len(values)] = values
    assert model.evaluate(batches, verbose=0) == pytest.approx(float(model(PADDED, labels=array).loss), rel=1e-5)


def test_positions_of_an_answer_are_labels_by_name() -> None:
    model = model_of("ForQuestionAnswering", num_labels=2)
    positions = {"start_positions": [1, 2, 3, 0, 1], "end_positions": [2, 2, 4, 1, 1]}
    batches = model.prepare_tf_dataset(
        {**TOKENIZER(TEXTS), **positions}, batch_size=5, shuffle=False, tokenizer=TOKENIZER
    )
    arrays = {name: np.array(values) for name, values in positions.items()}
    assert model.evaluate(batches, verbose=0) == pytest.approx(float(model(PADDED, **arrays).loss), rel=1e-5)


def test_choices_and_masked_tokens() -> None:
    model = model_of("ForMultipleChoice")
    rows = [{name: [ROWS[0][name], ROWS[i][name]] for name in ROWS[0]} | {"label": i % 2} for i in (1, 2, 3)]
    batches = model.prepare_tf_dataset(rows, 3, shuffle=False, collate_fn=DataCollatorForMultipleChoice(TOKENIZER))
    inputs, labels = next(iter(batches))
    assert inputs["input_ids"].shape[:2] == (3, 2)
    assert model.evaluate(batches, verbose=0) == pytest.approx(float(model(inputs, labels=labels).loss), rel=1e-5)
    model = model_of("ForMaskedLM")
    collate = DataCollatorForLanguageModeling(TOKENIZER, mlm_probability=0.5, seed=1)
    batches = model.prepare_tf_dataset(TABLE, 5, shuffle=False, collate_fn=collate)
    ids, labels = next(iter(batches))
    assert (ids["input_ids"].numpy()[labels.numpy() != -100] == TOKENIZER.mask_token_id).any()
    assert np.isfinite(model.fit(batches, verbose=0).history["loss"]).all()


@pytest.mark.parametrize("tensors", ["np", "tf"])
def test_to_tf_dataset_takes_our_collators(tensors: str) -> None:
    model = model_of("ForSequenceClassification", num_labels=3)
    batches = TABLE.add_column("label", LABELS).to_tf_dataset(
        columns=["input_ids", "attention_mask"],
        label_cols="labels",
        batch_size=2,
        shuffle=False,
        collate_fn=DataCollatorWithPadding(TOKENIZER, return_tensors=tensors),
    )
    expected = float(model(PADDED, labels=np.array(LABELS)).loss)
    assert model.evaluate(batches, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_what_is_no_data_set_is_refused() -> None:
    model = model_of("ForSequenceClassification")
    with pytest.raises(InputError, match="one split such as dataset"):
        model.prepare_tf_dataset(datasets.DatasetDict(train=TABLE))
    with pytest.raises(InputError, match="different lengths; give the tokenizer"):
        model.prepare_tf_dataset(TABLE)
    with pytest.raises(InputError, match=r"expected a datasets.Dataset or a list of rows"):
        model.prepare_tf_dataset(iter(ROWS))
