"""The loops of `training_loops.py` with transformers 4.57: Trainer, Keras 2's `fit`, and a jitted step of Flax.

Usage: python benchmarks/training_loops_reference.py pt|tf|flax FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1"}

import numpy as np

from meter import Meter

Rows = dict[str, Any]
RATE = 5e-5


def main() -> None:
    """Train, and report."""
    framework, folder = sys.argv[1], Path(sys.argv[2])
    rows = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    meter = Meter(folder / "transformers.json", rows["warm_up"])
    {"pt": train_pt, "tf": train_tf, "flax": train_flax}[framework](folder, rows, meter)
    meter.finish()


def padded(rows: Rows, length: int | None) -> Iterator[dict[str, np.ndarray]]:
    """Yield batches (batch, seq), padded to a length, or to the longest row of each."""
    size = rows["batch"]
    for start in range(0, len(rows["labels"]) // size * size, size):
        lists = rows["input_ids"][start : start + size]
        seq = length or max(map(len, lists))
        ids = np.zeros((size, seq), np.int32)
        for row, one in enumerate(lists):
            ids[row, : len(one)] = one
        mask = np.asarray([[1] * len(one) + [0] * (seq - len(one)) for one in lists], np.int32)
        labels = np.asarray(rows["labels"][start : start + size], np.int32)
        yield {"input_ids": ids, "attention_mask": mask, "labels": labels}


def train_pt(folder: Path, rows: Rows, meter: Meter) -> None:
    """Train by `Trainer`."""
    import torch
    from transformers import DistilBertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

    class Count(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            meter.step(rows["batch"])

    def collate(examples: list[tuple[list[int], int]]) -> dict[str, torch.Tensor]:
        ids, labels = zip(*examples, strict=True)
        (batch,) = padded({"batch": len(ids), "input_ids": ids, "labels": labels}, None)
        return {name: torch.from_numpy(array).long() for name, array in batch.items()}

    steps = len(rows["labels"]) // rows["batch"]
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"), per_device_train_batch_size=rows["batch"], max_steps=steps, use_cpu=True,
        learning_rate=RATE, weight_decay=0.01, save_strategy="no", report_to=[], disable_tqdm=True,
        remove_unused_columns=False, logging_strategy="no",
    )  # fmt: skip
    model = DistilBertForSequenceClassification.from_pretrained(folder / "model")
    examples: Any = list(zip(rows["input_ids"], rows["labels"], strict=True))
    Trainer(model, arguments, collate, examples, callbacks=[Count()]).train()


def train_tf(folder: Path, rows: Rows, meter: Meter) -> None:
    """Train by Keras 2's `fit` on batches padded to their longest row."""
    import tensorflow as tf
    import tf_keras
    from transformers import TFDistilBertForSequenceClassification

    class Count(tf_keras.callbacks.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            meter.step(rows["batch"])

    kinds = {"input_ids": (None, None), "attention_mask": (None, None), "labels": (None,)}
    signature = {name: tf.TensorSpec(shape, tf.int32) for name, shape in kinds.items()}
    data = tf.data.Dataset.from_generator(lambda: padded(rows, None), output_signature=signature)
    model = TFDistilBertForSequenceClassification.from_pretrained(folder / "model", from_pt=True)
    model.compile(optimizer=tf_keras.optimizers.AdamW(RATE, weight_decay=0.01))
    model.fit(data, epochs=1, verbose=0, callbacks=[Count()])


def train_flax(folder: Path, rows: Rows, meter: Meter) -> None:
    """Train by a jitted step with donated state, on rows padded to one length."""
    import jax
    import optax
    from flax.training.train_state import TrainState
    from transformers import FlaxDistilBertForSequenceClassification

    model = FlaxDistilBertForSequenceClassification.from_pretrained(folder / "model", from_pt=True)
    transformation = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(RATE, weight_decay=0.01))
    state = TrainState.create(apply_fn=model.__call__, params=model.params, tx=transformation)

    def step(state: Any, batch: dict[str, Any], key: Any) -> tuple[Any, Any]:
        labels = batch.pop("labels")

        def loss_of(params: Any) -> Any:
            logits = state.apply_fn(**batch, params=params, dropout_rng=key, train=True)[0]
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        loss, gradients = jax.value_and_grad(loss_of)(state.params)
        return state.apply_gradients(grads=gradients), loss

    compiled = jax.jit(step, donate_argnums=0)
    for number, batch in enumerate(padded(rows, rows["length"])):
        state, loss = compiled(state, batch, jax.random.key(number))
        loss.block_until_ready()
        meter.step(rows["batch"])


if __name__ == "__main__":
    main()
