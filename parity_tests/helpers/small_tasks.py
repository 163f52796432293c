"""A small model, and small data of each task made of real sentences, for runs of fine-tuning that take seconds."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common import DistilBertConfig
from distilbert_conversion import expected, save_checkpoint

__all__ = ["DEMO", "TASKS", "small_data", "small_model", "swap_last_words"]

DEMO = Path(__file__).resolve().parents[2] / "demo"
INTENTS = ("card_arrival", "change_pin", "lost_or_stolen_phone")
TASKS = ("text-classification", "token-classification", "question-answering", "multiple-choice", "fill-mask")


def small_model(folder: Path, head: str = "Model", **fields: Any) -> Path:
    """Write a model with random weights and the tokenizer of the demo; a bare one of one layer if nothing is said."""
    vocab = len((DEMO / "model" / "vocab.txt").read_text(encoding="utf-8").splitlines())
    sizes = {"dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": 64}
    config = DistilBertConfig(vocab_size=vocab, architectures=[f"DistilBert{head}"], **{**sizes, **fields})
    random = np.random.default_rng(0)
    weights = {
        name: random.normal(float("layer_norm.weight" in name.lower()), 0.05, shape).astype(np.float32)
        for name, shape in expected(config, head).items()
    }
    folder.mkdir(parents=True)
    save_checkpoint(folder, weights, config, head)
    config.save_pretrained(folder)
    shutil.copyfile(DEMO / "model" / "vocab.txt", folder / "vocab.txt")
    return folder


def swap_last_words(folder: Path) -> None:
    """Make the vocabulary of a model another one, of the same size."""
    words = (folder / "vocab.txt").read_text().splitlines()
    (folder / "vocab.txt").write_text("\n".join([*words[:-2], words[-1], words[-2]]) + "\n")


@cache
def sentences() -> tuple[tuple[str, str], ...]:
    """Return real questions of three intents, taking turns: (text, intent)."""
    with (DEMO / "data" / "banking77_test.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["text"].strip(), row["category"]) for row in csv.DictReader(file)]
    by_intent = [[row for row in rows if row[1] == intent] for intent in INTENTS]
    return tuple(row for turn in zip(*by_intent, strict=False) for row in turn)


def small_data(task: str, path: Path, rows: slice) -> Path:
    """Write some of the sentences as data of a task: a jsonl file, or plain text for masked LM."""
    some = sentences()[rows]
    if task == "fill-mask":
        path = path.with_suffix(".txt")
        path.write_text("\n".join(text for text, _ in some) + "\n", encoding="utf-8")
        return path
    path = path.with_suffix(".jsonl")
    lines = (_ROWS[task](number, text, intent) for number, (text, intent) in enumerate(some))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def _tagged(words: Iterable[str]) -> list[str]:
    return [f"B-{word.upper()}" if word in ("card", "pin", "phone") else "O" for word in words]


def _words(text: str) -> list[str]:
    return text.lower().strip("?!.").split()


def _answer(number: int, text: str, intent: str) -> dict[str, Any]:
    last = text.split()[-1]
    answers = {"text": [last], "answer_start": [text.rindex(last)]}
    return {"id": str(number), "question": "What comes last?", "context": text, "answers": answers}


_ROWS: dict[str, Any] = {
    "text-classification": lambda number, text, intent: {"text": text, "label": intent},
    "token-classification": lambda number, text, intent: {"tokens": _words(text), "ner_tags": _tagged(_words(text))},
    "question-answering": _answer,
    "multiple-choice": lambda number, text, intent: {
        "prompt": text, "choices": [name.replace("_", " ") for name in INTENTS], "label": INTENTS.index(intent),
    },
}  # fmt: skip
