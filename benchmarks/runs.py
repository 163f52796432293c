"""What the workers of every framework share: checkpoints, batches, sentences and packed rows."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Batch = dict[str, np.ndarray]
Run = Callable[[list[Batch]], np.ndarray]
PREFIX = {"pt": "", "tf": "TF", "flax": "Flax"}
ROWS, LENGTH = 16, 128
"""How many packed rows are run at a time, and how long they are."""
MATRIX = (4096, 768, 3072)
"""The product whose rate is measured: tokens, dim, hidden_dim of 32 texts of 128 tokens."""
SHAPES = (((768, 768),) * 4 + ((768, 3072), (3072, 768))) * 6
"""The matrices of six layers: query, key, value and output, and the feed-forward network's two."""
SENTENCES = 872
"""How many sentences are run: SST-2's development set."""
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0}


def is_ours(implementation: str) -> bool:
    """Whether an implementation, as "ours-pt", is this project's."""
    return implementation.startswith("ours")


def load(implementation: str, folder: Path, head: str, **options: Any) -> Any:
    """Return a model of this project or of transformers."""
    framework = implementation.rpartition("-")[2]
    module = importlib.import_module(f"distilbert_{framework}" if is_ours(implementation) else "transformers")
    model_class = getattr(module, f"{PREFIX[framework]}DistilBert{head}")
    stored = "ForSequenceClassification" if head == "Model" else head
    return model_class.from_pretrained(folder / framework / stored, **options)


def read_batches(folder: Path, workload: str) -> list[Batch]:
    """Return the batches of a workload; none where it has no file."""
    path = folder / f"{workload}.npz"
    if not path.is_file():
        return []
    with np.load(path) as arrays:
        names = sorted({name.split("/")[0] for name in arrays})
        keys = {name.split("/")[1] for name in arrays}
        return [{key: arrays[f"{name}/{key}"] for key in keys if f"{name}/{key}" in arrays} for name in names]


def read_texts(folder: Path) -> list[str]:
    """Return the sentences."""
    texts: list[str] = json.loads((folder / "texts.json").read_text())
    return texts


def head_of(workload: str) -> str:
    """Return the head that a workload is for."""
    return "ForMaskedLM" if "masked" in workload else "ForSequenceClassification"


def tokens_of(workload: str) -> int:
    """Return how many tokens a workload has whose name tells, as "bfloat16-32x128"."""
    batch, seq = map(int, workload.rpartition("-")[2].split("x"))
    return batch * seq


def token_lists(batches: list[Batch]) -> list[list[int]]:
    """Return the tokens of each row of padded batches."""
    rows = [row for batch in batches for row in zip(batch["input_ids"], batch["attention_mask"].sum(1), strict=True)]
    return [ids[:size].tolist() for ids, size in rows]


def packed_step(batch: Batch) -> Batch:
    """Pack the sentences of one batch, and their labels: what ours is trained on where sizes are fixed."""
    from distilbert_common.packing import pack

    packed = pack(token_lists([batch]), LENGTH)
    labels = packed.pack_lists(batch["labels"].astype(np.int32))
    return {"input_ids": packed.input_ids, "segment_ids": packed.segment_ids, "labels": labels}


def step_shapes(folder: Path, workload: str, packed: bool) -> list[tuple[int, int, int]]:
    """Return (tokens, rows, columns) of each matrix of a training step: the layers', and the head's at labels."""
    batch = read_batches(folder, workload)[0]
    if "masked" in workload:
        labels = int((batch["labels"] >= 0).sum())
        return [*((batch["input_ids"].size, *shape) for shape in SHAPES), (labels, 768, 768), (labels, 768, 30522)]
    tokens = packed_step(batch)["input_ids"].size if packed else int(batch["attention_mask"].sum())
    return [(tokens, *shape) for shape in SHAPES]


def encode_packed(call: Callable[[Batch], np.ndarray], folder: Path) -> Run:
    """Return what makes a vector of each sentence, the mean of its tokens, from packed rows.

    Args:
        call: Takes rows, and returns the last hidden state (rows, length, dim).
        folder: Where the checkpoint and the sentences lie.
    """
    from distilbert_common import DistilBertTokenizerFast
    from distilbert_common.packing import pack

    tokenizer = DistilBertTokenizerFast.from_pretrained(folder / "pt" / "ForSequenceClassification")
    texts = read_texts(folder)[:SENTENCES]

    def run(_: list[Batch]) -> np.ndarray:
        packed = pack(tokenizer(texts)["input_ids"], LENGTH, rows_multiple=ROWS)
        parts = (range(start, start + ROWS) for start in range(0, len(packed.input_ids), ROWS))
        states = np.concatenate([call({k: v[rows] for k, v in packed.arrays.items()}) for rows in map(list, parts)])
        return np.stack([tokens.mean(axis=0) for tokens in packed.unpack_tokens(states)])

    return run
