"""What the tests of data, features and batches share: files to write, a tokenizer, and models as small as can be."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distilbert_common import DistilBertConfig, DistilBertTokenizerFast

ROOT = Path(__file__).resolve().parents[2]
BANKING = ROOT / "demo" / "data" / "banking77_test.csv"
SHARED = ROOT.parent / "shared" / "data"
"""Larger data sets, which may lie beside the repository."""

Rows = Sequence[Mapping[str, Any]]

REVIEWS: Rows = [
    {"text": 'He said "fine", and left.', "label": "good"},
    {"text": "Nul points:\tna, null, None", "label": "bad"},
    {"text": "NA", "label": "good"},
    {"text": "Пять звёзд 😀", "label": "good"},
]
"""Texts that readers may take for something else."""


def tokenizer() -> DistilBertTokenizerFast:
    """Return the tokenizer of the demo's model."""
    return DistilBertTokenizerFast.from_pretrained(ROOT / "demo" / "model")


def tiny_config(**changes: Any) -> DistilBertConfig:
    """Return the config of a model with the demo's vocabulary, without dropout."""
    sizes = {"n_layers": 1, "n_heads": 2, "dim": 16, "hidden_dim": 32, "max_position_embeddings": 64}
    rates = dict.fromkeys(("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"), 0.0)
    return DistilBertConfig(vocab_size=len(tokenizer()), **{**sizes, **rates, **changes})


def write_csv(path: Path, rows: Rows, delimiter: str = ",") -> Path:
    """Write rows with a first line of names."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_lines(path: Path, rows: Rows) -> Path:
    """Write a JSON object in each line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
