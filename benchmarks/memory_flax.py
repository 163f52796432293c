"""The uses of a Flax model whose memory `model_memory.py` measures; each function is one turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from distilbert_common import DistilBertConfig
from distilbert_flax import FlaxDistilBertForMaskedLM, FlaxDistilBertForSequenceClassification, FlaxDistilBertModel

Batch = dict[str, np.ndarray]
Model = FlaxDistilBertForSequenceClassification


def inputs(batch: Batch) -> Batch:
    """Return the batch without labels."""
    return {name: value for name, value in batch.items() if name != "labels"}


def call(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A call whose padding is left out."""
    jax.block_until_ready(FlaxDistilBertModel(config)(**inputs(batch)).last_hidden_state)


def call_without_jit(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A call that is not compiled."""
    jax.block_until_ready(Model(config)(**batch, jit=False).logits)


def params(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A call with `params=`, with labels."""
    model = Model(config)
    jax.block_until_ready(model(**batch, params=model.params).loss)


def train(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A call whose dropout is active."""
    jax.block_until_ready(Model(config)(**batch, train=True).loss)


def gradient(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """Loss and gradient in the functional convention, and in NNX's."""
    model = Model(config)
    jax.block_until_ready(jax.grad(lambda params: model(**batch, params=params).loss)(model.params))
    jax.block_until_ready(nnx.grad(lambda model: model(**batch).loss)(model))


def masked_lm(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """The masked-LM loss without logits, compiled and not."""
    model, ids = FlaxDistilBertForMaskedLM(config), batch["input_ids"]
    for jit in (True, False):
        jax.block_until_ready(model(ids, labels=ids, loss_only=True, jit=jit).loss)


def saved_and_loaded(config: DistilBertConfig, folder: Path, batch: Batch) -> None:
    """A model that is written, and read again before it is called."""
    Model(config).save_pretrained(folder)
    jax.block_until_ready(Model.from_pretrained(folder)(**inputs(batch)).logits)


def changed(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A model that is called, and called again after each change of its structure."""
    model: Any = Model(config)
    for change in (
        lambda: model.resize_token_embeddings(config.vocab_size + 8),
        lambda: model.prune_heads({0: [1]}),
        lambda: setattr(model, "classifier", nnx.Linear(config.dim, 3, rngs=nnx.Rngs(0))),
    ):
        model(**inputs(batch))
        change()
    jax.block_until_ready(model(**inputs(batch)).logits)


USES = {
    "call": call,
    "jit=False": call_without_jit,
    "params=": params,
    "train=True": train,
    "loss and gradient": gradient,
    "masked LM": masked_lm,
    "saved and loaded": saved_and_loaded,
    "changed": changed,
}
