"""What tests of the engines share: a small model, and batches that it learns from, padded and packed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common import DistilBertConfig
from distilbert_common.packing import pack
from distilbert_common.training import EngineOptions, MicroBatch
from distilbert_tasks.engines import engine_module
from parity_tests.helpers.packing_cases import pack_labels

FRAMEWORKS = ("pt", "tf", "flax")
HEADS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
    "ForMaskedLM",
)
NO_DROPOUT = dict.fromkeys(("dropout", "attention_dropout", "seq_classif_dropout", "qa_dropout"), 0.0)
LENGTHS = (5, 6, 7, 9, 11, 14, 20, 24)
"""How many tokens the lists of each batch have, in some order: they always fit into as many packed rows."""
VOCAB, MASK = 60, 4

Arrays = dict[str, np.ndarray]


def save_backbone(folder: Path) -> Path:
    """Write a small random model without a head."""
    import torch

    import distilbert_pt

    torch.manual_seed(0)
    distilbert_pt.DistilBertModel(config_of("ForMaskedLM")).save_pretrained(folder)
    return folder


def config_of(head: str, **fields: Any) -> DistilBertConfig:
    """Return the config of a small model."""
    sizes = {"dim": 32, "hidden_dim": 64, "n_layers": 1, "n_heads": 4, "max_position_embeddings": 32}
    labels = 2 if head == "ForQuestionAnswering" else 3
    return DistilBertConfig(vocab_size=VOCAB, num_labels=labels, initializer_range=0.2, **{**sizes, **fields})


def engine_of(framework: str, head: str, source: Path, options: EngineOptions, **fields: Any) -> Any:
    """Return an engine with a model that has a new head."""
    module = engine_module(framework)
    return module.Engine(module.load_model(head, source, config=config_of(head, **fields)), options, "cpu")


def batch_of(head: str, step: int, packed: bool = False) -> MicroBatch:
    """Return the batch of a step: eight lists of tokens, or eight times two choices."""
    rng = np.random.default_rng((7, step))
    if head == "ForMultipleChoice":
        ids = rng.integers(8, VOCAB, (8, 2, 16)).astype(np.int32)
        labels = rng.integers(0, 2, 8)
        ids[np.arange(8), labels, 3] = 6  # what the right choice has
        return MicroBatch({"input_ids": ids, "attention_mask": np.ones_like(ids)}, {"labels": labels})
    lists = [rng.integers(8, VOCAB, size) for size in rng.permutation(LENGTHS)]
    cases = [labeled(head, tokens, rng) for tokens in lists]
    ids, labels = [tokens for tokens, _ in cases], [one for _, one in cases]
    if packed:
        rows = pack([tokens.tolist() for tokens in ids], 32)
        return MicroBatch(rows.inputs, pack_labels(rows, labels))
    return MicroBatch(
        {"input_ids": padded(ids, 0), "attention_mask": padded([np.ones_like(tokens) for tokens in ids], 0)},
        {name: padded([one[name] for one in labels], -100) for name in labels[0]},
    )


def labeled(head: str, tokens: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Arrays]:
    """Return tokens and labels that follow from them."""
    if head == "ForSequenceClassification":
        return tokens, {"labels": np.int64(tokens[1] % 3)}
    if head == "ForTokenClassification":
        return tokens, {"labels": np.where(rng.random(len(tokens)) < 0.8, tokens % 3, -100)}
    if head == "ForQuestionAnswering":
        start, end = np.sort(rng.integers(1, len(tokens), 2))
        tokens[[start, end]] = 6, 7
        return tokens, {"start_positions": np.int64(start), "end_positions": np.int64(end)}
    masked = rng.random(len(tokens)) < 0.3
    masked[1] = True
    return np.where(masked, MASK, tokens), {"labels": np.where(masked, tokens, -100)}


def padded(rows: list[np.ndarray], fill: int) -> np.ndarray:
    """Return rows of one length, or single values as they are."""
    if not np.ndim(rows[0]):
        return np.array(rows)
    return np.stack([np.pad(row, (0, max(LENGTHS) - len(row)), constant_values=fill) for row in rows])
