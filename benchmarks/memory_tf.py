"""The uses of a Keras model whose memory `model_memory.py` measures; each function is one turn."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from distilbert_common import DistilBertConfig
from distilbert_tf import TFDistilBertForMaskedLM, TFDistilBertForSequenceClassification, TFDistilBertModel

Batch = dict[str, np.ndarray]
Model = TFDistilBertForSequenceClassification


def inputs(batch: Batch) -> Batch:
    """Return the batch without labels."""
    return {name: value for name, value in batch.items() if name != "labels"}


def call(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A call whose padding is left out."""
    TFDistilBertModel(config)(inputs(batch))


def call_without_jit(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A call that is not compiled."""
    Model(config)(batch, jit=False)


def gradient(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A step of a loop of one's own, compiled and not."""
    model = Model(config)
    for jit in (True, False):
        with tf.GradientTape() as tape:
            loss = model(batch, training=True, jit=jit).loss
        tape.gradient(loss, model.trainable_variables)


def masked_lm(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """The masked-LM loss without logits, compiled and not."""
    model, ids = TFDistilBertForMaskedLM(config), batch["input_ids"]
    for jit in (True, False):
        model(ids, labels=ids, loss_only=True, jit=jit)


def fit(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """Training by Keras, not by XLA, which keeps each program that it compiles."""
    model = Model(config)
    model.compile(keras.optimizers.Adam(), jit_compile=False)
    model.fit(batch, verbose=0)


def fit_and_clear(config: DistilBertConfig, folder: Path, batch: Batch) -> None:
    """The same in a loop as Keras advises: TensorFlow keeps the kernels of each graph until it is told."""
    fit(config, folder, batch)
    keras.backend.clear_session()


def predict(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """Prediction by Keras."""
    model = Model(config)
    model.compile(jit_compile=False)
    model.predict(inputs(batch), verbose=0)


def saved_and_loaded(config: DistilBertConfig, folder: Path, batch: Batch) -> None:
    """A model that is written, and read again before it is called."""
    Model(config).save_pretrained(folder)
    Model.from_pretrained(folder)(inputs(batch))


def changed(config: DistilBertConfig, _: Path, batch: Batch) -> None:
    """A model that is called, and called again after each change of its structure."""
    model = Model(config)
    for change in (
        lambda: model.resize_token_embeddings(config.vocab_size + 8),
        lambda: model.prune_heads({0: [1]}),
        lambda: setattr(model, "classifier", keras.layers.Dense(3)),
    ):
        model(inputs(batch))
        change()
    model(inputs(batch))


USES = {
    "call": call,
    "jit=False": call_without_jit,
    "loss and gradient": gradient,
    "masked LM": masked_lm,
    "fit": fit,
    "fit, cleared": fit_and_clear,
    "predict": predict,
    "saved and loaded": saved_and_loaded,
    "changed": changed,
}
