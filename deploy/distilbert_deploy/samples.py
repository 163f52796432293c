"""The inputs on which an export is compared with its source: real text of several lengths, alone and padded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilbert_common.checks import check_ids
from distilbert_deploy.weights import ModelWeights

__all__ = ["Batch", "padded_batch", "sample_batches"]

Batch = dict[str, NDArray[np.int64]]
"""`input_ids` and `attention_mask`, (batch, seq) or (batch, choices, seq)."""

_SENTENCES = (
    "Yes.",
    "My card has not arrived yet, and it has been nine days.",
    "The film is slow, but its last half hour is worth the wait.",
    "Marie Curie was born in Warsaw in 1867 and moved to Paris at the age of twenty-four.",
    "Why was I charged twice for the same transfer?",
    "At 6:45 p.m. the train to Geneva left platform 3; nobody had told the passengers why it stood there so long.",
)
_PARAGRAPH = (
    "A lighthouse keeper counts ships. On a clear night she may write down thirty names, with the hour and the course "
    "of each, and the weather at the turn of the tide. In fog she writes nothing, sounds the horn every two minutes, "
    "and listens. Most of what she knows of the sea she has learned in those hours: how far a bell carries over water, "
    "how an engine sounds that is badly looked after, which of the fishing boats come home early. "
)
_LONGEST = 512
_CHOICES = 3


def sample_batches(weights: ModelWeights, tokenizer: Any | None) -> list[Batch]:
    """Return batches for any of the six models.

    One sentence, one text that is as long as the model takes, several sentences padded to one length, and a row of
    padding only, of which no more is asked than finite numbers.

    Args:
        weights: The model.
        tokenizer: The checkpoint's own; None where it has none, for ids that are drawn at random.
    """
    most = min(_LONGEST, int(weights.config.max_position_embeddings))
    texts = [*_SENTENCES, _PARAGRAPH * 8]
    lists = [ids[:most] for ids in (_random_ids(weights, texts) if tokenizer is None else _token_ids(tokenizer, texts))]
    *short, long = lists
    for ids in lists:
        check_ids("input_ids", min(ids), max(ids), weights.config.vocab_size, "vocab_size")
    batches = [padded_batch([short[1]]), padded_batch([long]), padded_batch([*short, []])]
    return [_with_choices(batch) for batch in batches] if weights.is_multiple_choice else batches


def _token_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    encoded = tokenizer(list(texts), truncation=False, verbose=False)
    return [list(ids) for ids in encoded["input_ids"]]


def _random_ids(weights: ModelWeights, texts: Sequence[str]) -> list[list[int]]:
    """Return as many ids for each text as it has words, and two more."""
    generator = np.random.default_rng(0)
    return [generator.integers(0, weights.config.vocab_size, len(text.split()) + 2).tolist() for text in texts]


def padded_batch(lists: Sequence[Sequence[int]]) -> Batch:
    """Return token lists as rows of one length."""
    seq = max(map(len, lists))
    ids = np.zeros((len(lists), seq), np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(lists):
        ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
    return {"input_ids": ids, "attention_mask": mask}


def _with_choices(batch: Batch) -> Batch:
    """(batch, seq) -> (batch, choices, seq): each row's choices are rows that follow it."""
    rows = len(batch["input_ids"])
    chosen = (np.arange(rows)[:, None] + np.arange(_CHOICES)) % rows  # (batch, choices)
    return {name: values[chosen] for name, values in batch.items()}
