"""The uses of a PyTorch model whose memory `model_memory.py` measures; each function is one turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from distilbert_common import DistilBertConfig
from distilbert_pt import DistilBertForMaskedLM, DistilBertForSequenceClassification, DistilBertModel

Batch = dict[str, np.ndarray]
Model = DistilBertForSequenceClassification


def tensors(batch: Batch) -> dict[str, Tensor]:
    """Return the batch as int64 tensors."""
    return {name: torch.from_numpy(value).long() for name, value in batch.items()}


def inputs(batch: Batch) -> dict[str, Tensor]:
    """Return the batch without labels."""
    return {name: value for name, value in tensors(batch).items() if name != "labels"}


def call(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A call whose padding is left out."""
    with torch.no_grad():
        DistilBertModel(config).eval()(**inputs(batch))


def prepacked(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A call with the weights laid out anew."""
    with torch.no_grad():
        Model(config).eval().prepack_weights()(**inputs(batch))


def train(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A step of an optimizer, with checkpointing."""
    model = Model(config).train()
    model.gradient_checkpointing_enable()
    optimizer = torch.optim.AdamW(model.parameters())
    model(**tensors(batch)).loss.backward()
    optimizer.step()


def masked_lm(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """The masked-LM loss without logits."""
    ids = inputs(batch)["input_ids"]
    DistilBertForMaskedLM(config)(ids, labels=ids, loss_only=True).loss.backward()


def saved_and_loaded(config: DistilBertConfig, folder: Path, batch: Batch) -> None:
    """A model that is written, and read again before it is called."""
    Model(config).save_pretrained(folder)
    with torch.no_grad():
        Model.from_pretrained(folder)(**inputs(batch))


def changed(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A model that is called again after each change of its structure."""
    model = Model(config).eval()
    for change in (
        lambda: model.resize_token_embeddings(config.vocab_size + 8),
        lambda: model.prune_heads({0: [1]}),
        lambda: setattr(model, "classifier", nn.Linear(config.dim, 3)),
    ):
        model(**inputs(batch))
        change()
    model(**inputs(batch))


USES = {
    "call": call,
    "prepacked": prepacked,
    "training step": train,
    "masked LM": masked_lm,
    "saved and loaded": saved_and_loaded,
    "changed": changed,
}
