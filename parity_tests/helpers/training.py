"""Training loops as users of transformers wrote them, one for each framework, on the same 200 real sentences.

Each loop takes a checkpoint and batches, and returns the loss of every step. Dropout is off and the order of batches
fixed, so that the curves can be compared.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common import DistilBertConfig, DistilBertTokenizerFast

ROOT = Path(__file__).resolve().parents[2]
SENTENCES, BATCH, STEPS, SEQ = 200, 20, 50, 40
LEARNING_RATE = 1e-3
EPSILON = 1e-12  # so small that it plays no part: Keras adds it before it corrects the bias, PyTorch and optax after
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0}

Arrays = dict[str, np.ndarray]


def batches() -> Iterator[Arrays]:
    """Yield `STEPS` batches of ids (batch, seq), mask and labels (batch,), going through the sentences in order."""
    tokenizer = DistilBertTokenizerFast.from_pretrained(ROOT / "demo" / "model")
    labels = DistilBertConfig.from_pretrained(ROOT / "demo" / "model").label2id
    with (ROOT / "demo" / "data" / "banking77_test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:: 3080 // SENTENCES][:SENTENCES]
    for step in range(STEPS):
        chosen = [rows[i % SENTENCES] for i in range(step * BATCH, (step + 1) * BATCH)]
        texts = [row["text"] for row in chosen]
        encoded = tokenizer(texts, padding="max_length", truncation=True, max_length=SEQ, return_tensors="np")
        yield {**encoded, "labels": np.array([labels[row["category"]] for row in chosen])}


def make_checkpoint(directory: Path) -> Path:
    """Write the demo's backbone with a new head, the same for every framework."""
    import torch

    from distilbert_pt import DistilBertForSequenceClassification, DistilBertModel

    torch.manual_seed(0)
    model = DistilBertForSequenceClassification(DistilBertConfig.from_pretrained(ROOT / "demo" / "model"))
    model.distilbert = DistilBertModel.from_pretrained(ROOT / "demo" / "model")
    model.save_pretrained(directory)
    return directory


def train_pt(checkpoint: Path) -> list[float]:
    """The loop of PyTorch users."""
    import torch

    from distilbert_pt import DistilBertForSequenceClassification

    model = DistilBertForSequenceClassification.from_pretrained(checkpoint, **NO_DROPOUT)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, eps=EPSILON, weight_decay=0.0)
    model.train()
    losses = []
    for batch in batches():
        outputs = model(**{name: torch.from_numpy(array) for name, array in batch.items()})
        outputs.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(outputs.loss.item())
    return losses


def train_tf_fit(checkpoint: Path) -> list[float]:
    """Keras' `fit` on a tf.data set, with the model's own loss."""
    import keras
    import tensorflow as tf

    from distilbert_tf import TFDistilBertForSequenceClassification

    class Losses(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            fit_losses.append(float(logs["loss"]))
            self.model.reset_metrics()

    fit_losses: list[float] = []
    model = TFDistilBertForSequenceClassification.from_pretrained(checkpoint, **NO_DROPOUT)
    model.compile(optimizer=keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON))
    stacked = {name: np.concatenate([batch[name] for batch in batches()]) for name in next(batches())}
    dataset = tf.data.Dataset.from_tensor_slices(stacked).batch(BATCH)
    model.fit(dataset, epochs=1, verbose=0, callbacks=[Losses()])
    return fit_losses


def train_tf_tape(checkpoint: Path) -> list[float]:
    """A loop with GradientTape."""
    import keras
    import tensorflow as tf

    from distilbert_tf import TFDistilBertForSequenceClassification

    model = TFDistilBertForSequenceClassification.from_pretrained(checkpoint, **NO_DROPOUT)
    optimizer = keras.optimizers.Adam(LEARNING_RATE, epsilon=EPSILON)

    @tf.function
    def step(batch: dict[str, Any]) -> Any:
        with tf.GradientTape() as tape:
            loss = model(batch, training=True).loss
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return [float(step({name: tf.constant(array) for name, array in batch.items()})) for batch in batches()]


def train_flax(checkpoint: Path) -> list[float]:
    """The loop of Flax users: a TrainState, `params=` and `dropout_rng=`."""
    import jax
    import optax
    from flax.training.train_state import TrainState

    from distilbert_flax import FlaxDistilBertForSequenceClassification

    model = FlaxDistilBertForSequenceClassification.from_pretrained(checkpoint, **NO_DROPOUT)
    state = TrainState.create(
        apply_fn=model.__call__, params=model.params, tx=optax.adamw(LEARNING_RATE, eps=EPSILON, weight_decay=0.0)
    )

    @jax.jit
    def step(state: Any, batch: Arrays, dropout_rng: Any) -> Any:
        def loss_of(params: Any) -> Any:
            return state.apply_fn(**batch, params=params, dropout_rng=dropout_rng, train=True).loss

        loss, gradients = jax.value_and_grad(loss_of)(state.params)
        return state.apply_gradients(grads=gradients), loss

    losses, rng = [], jax.random.key(0)
    for batch in batches():
        rng, dropout_rng = jax.random.split(rng)
        state, loss = step(state, batch, dropout_rng)
        losses.append(float(loss))
    return losses


LOOPS = {"pt": train_pt, "tf fit": train_tf_fit, "tf tape": train_tf_tape, "flax": train_flax}
