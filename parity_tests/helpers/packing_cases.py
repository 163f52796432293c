"""Real sentences as token lists, small models and labels: what the tests of packing, unpadding and losses share."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from distilbert_common import DistilBertConfig, DistilBertTokenizerFast
from distilbert_common.packing import Packed
from parity_tests.helpers.gradients import ZERO_BY_SYMMETRY, Arrays
from parity_tests.helpers.tolerances import GRADIENT

DEMO = Path(__file__).resolve().parents[2] / "demo"
HEADS = ("ForMaskedLM", "ForTokenClassification", "ForSequenceClassification", "ForQuestionAnswering")
"""The heads that take packed rows and have a loss."""

PER_LIST = {"ForSequenceClassification"}
"""The heads whose logits are one row per sequence."""


def token_lists(count: int, lengths: Collection[int] = range(41)) -> list[list[int]]:
    """Return the ids of real sentences.

    Args:
        count: How many.
        lengths: How many tokens a sentence may have; few lengths where each is compiled by itself.
    """
    tokenizer = DistilBertTokenizerFast.from_pretrained(DEMO / "model")
    with (DEMO / "data" / "banking77_test.csv").open(encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)][: max(count, 100)]
    tokens = tokenizer(texts, truncation=True, max_length=40)["input_ids"]
    return [ids for ids in tokens if len(ids) in lengths][:count]


def padded(lists: list[list[int]]) -> Arrays:
    """Return token lists as a padded batch with its mask."""
    seq = max(map(len, lists))
    ids = np.array([tokens + [0] * (seq - len(tokens)) for tokens in lists])
    mask = np.array([[1] * len(tokens) + [0] * (seq - len(tokens)) for tokens in lists])
    return {"input_ids": ids, "attention_mask": mask}


def save_model(folder: Path, head: str, **fields: object) -> Path:
    """Write a small random model without dropout, whose weights are large enough for errors to show."""
    import torch

    import distilbert_pt

    torch.manual_seed(0)
    sizes = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64}
    rates = dict.fromkeys(("dropout", "attention_dropout", "seq_classif_dropout", "qa_dropout"), 0.0)
    config = DistilBertConfig(vocab_size=2000, initializer_range=0.2, **{**sizes, **rates, **fields})
    getattr(distilbert_pt, f"DistilBert{head}")(config).save_pretrained(folder)
    return folder


def labels_of(head: str, lists: list[list[int]]) -> list[Arrays]:
    """Return the labels of each list as a model takes them for it alone, without the batch axis."""
    rng = np.random.default_rng(0)
    labels: list[Arrays] = []
    for size in map(len, lists):
        if head == "ForQuestionAnswering":
            first, last = rng.integers(size, size=2) if len(labels) else (-1, size)  # of the first list none counts
            labels.append({"start_positions": np.int64(first), "end_positions": np.int64(last)})
        elif head == "ForSequenceClassification":
            labels.append({"labels": np.int64(rng.integers(2) if len(labels) else -100)})
        else:
            labels.append({"labels": np.where(rng.random(size) < 0.4, rng.integers(2, size=size), -100)})
    return labels


def pack_labels(packed: Packed, labels: list[Arrays]) -> Arrays:
    """Return the labels of all lists in the layout of the packed rows."""
    by_name = {name: [one[name] for one in labels] for name in labels[0]}
    return {
        name: packed.pack_tokens(values) if values[0].ndim else packed.pack_lists(np.stack(values))
        for name, values in by_name.items()
    }


def alone(lists: list[list[int]], labels: list[Arrays]) -> Iterator[tuple[Arrays, float]]:
    """Yield the inputs of each list by itself, and its share in the loss of all."""
    counts = [np.count_nonzero(one["labels"] != -100) if "labels" in one else at > 0 for at, one in enumerate(labels)]
    for tokens, one, count in zip(lists, labels, counts, strict=True):
        inputs = {"input_ids": np.array([tokens])} | {name: np.asarray(value)[None] for name, value in one.items()}
        yield inputs, float(count / sum(counts))


def assert_same_gradients(actual: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], head: str) -> None:
    """Assert that gradients agree, each relative to its largest entry; those that are zero to the largest of all."""
    assert actual.keys() == expected.keys()
    zero = tuple(name.format(last=1) for name in ZERO_BY_SYMMETRY[head])
    largest = max(float(np.abs(gradient).max()) for gradient in expected.values())
    for name, gradient in expected.items():
        scale = largest if name.endswith(zero) else float(np.abs(gradient).max())
        assert float(np.abs(actual[name] - gradient).max()) <= GRADIENT.value * scale, name
