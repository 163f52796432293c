"""How the demo's model was made: a small DistilBERT, trained from nothing on the training set of BANKING77.

Usage: python demo/train.py TRAIN.csv   (the file `banking_data/train.csv` of PolyAI-LDN/task-specific-datasets)

Writes `demo/model`: config, weights and vocabulary. It took 24 minutes on one core of a busy machine.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from tokenizers import BertWordPieceTokenizer

from distilbert_common import DistilBertTokenizerFast
from distilbert_pt import DistilBertConfig, DistilBertForSequenceClassification

HERE = Path(__file__).resolve().parent
SIZES = {"vocab_size": 2000, "max_position_embeddings": 64, "n_layers": 3, "n_heads": 4, "dim": 96, "hidden_dim": 192}
EPOCHS, BATCH, LEARNING_RATE, SEED = 30, 32, 1e-3, 56


def read(path: Path) -> tuple[list[str], list[str]]:
    """Return the texts and the intents of a BANKING77 file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["category"] for row in rows]


def train_vocabulary(texts: list[str]) -> DistilBertTokenizerFast:
    """Train an uncased WordPiece vocabulary, write it to `demo/model/vocab.txt` and return its tokenizer."""
    trainer = BertWordPieceTokenizer(lowercase=True)
    trainer.train_from_iterator(texts, vocab_size=SIZES["vocab_size"], min_frequency=2, show_progress=False)
    trainer.save_model(str(HERE / "model"))
    return DistilBertTokenizerFast(HERE / "model" / "vocab.txt", model_max_length=SIZES["max_position_embeddings"])


def encode(tokenizer: DistilBertTokenizerFast, texts: list[str]) -> dict[str, torch.Tensor]:
    """Return input_ids and attention_mask, (batch, seq) each."""
    return dict(tokenizer(texts, padding=True, truncation=True, return_tensors="pt"))


def train(model: DistilBertForSequenceClassification, tokenizer: DistilBertTokenizerFast, data: list[tuple]) -> None:
    """Train with AdamW and one cycle of the learning rate."""
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.01)
    steps = EPOCHS * -(-len(data) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps, pct_start=0.1)
    order = np.random.default_rng(SEED)
    model.train()
    for _ in track(range(EPOCHS), "training"):
        for rows in np.array_split(order.permutation(len(data)), steps // EPOCHS):
            texts, labels = zip(*(data[row] for row in rows), strict=True)
            loss = model(**encode(tokenizer, list(texts)), labels=torch.tensor(labels)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    print(f"loss of the last batch: {loss.item():.4f}")


@torch.no_grad()
def accuracy(
    model: DistilBertForSequenceClassification, tokenizer: DistilBertTokenizerFast, data: list[tuple]
) -> float:
    """Return the share of intents found."""
    model.eval()
    right = 0
    for start in range(0, len(data), 128):
        texts, labels = zip(*data[start : start + 128], strict=True)
        right += int((model(**encode(tokenizer, list(texts))).logits.argmax(-1) == torch.tensor(labels)).sum())
    return right / len(data)


def main() -> None:
    """Train, report the accuracy on the test set, save."""
    torch.manual_seed(SEED)
    texts, intents = read(Path(sys.argv[1]))
    labels = sorted(set(intents))
    config = DistilBertConfig(**SIZES, id2label=dict(enumerate(labels)))
    tokenizer = train_vocabulary(texts)
    model = DistilBertForSequenceClassification(config)
    train(model, tokenizer, [(text, config.label2id[intent]) for text, intent in zip(texts, intents, strict=True)])
    test = zip(*read(HERE / "data" / "banking77_test.csv"), strict=True)
    share = accuracy(model, tokenizer, [(text, config.label2id[intent]) for text, intent in test])
    print(f"{model.num_parameters():,} parameters, {share:.1%} of the test set's intents found")
    model.save_pretrained(HERE / "model")


if __name__ == "__main__":
    main()
