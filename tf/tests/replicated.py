"""Trains each head with one replica and with two, and prints how far apart the two are; run as a program.

TensorFlow has to be told of two logical CPUs before it is used, which is why this is a process of its own.
"""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # much is traced and little run

from tf_models import CLASSES, MICRO, TASKS, array, small  # noqa: E402

ONE, TWO = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
RATES = {"dropout": 0.0, "attention_dropout": 0.0, "qa_dropout": 0.0, "seq_classif_dropout": 0.0}
ROWS, BATCH = 7, 4  # the last batch has three rows: two for one replica, one for the other
WEIGHTS = np.linspace(0, 2, ROWS).astype("float32")


def data_of(head: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return inputs and labels; those that do not count are not the same number in each row, one row has no other."""
    rng = np.random.default_rng(0)
    ids = rng.integers(4, 40, (ROWS, 2, 7) if head == "ForMultipleChoice" else (ROWS, 7))
    tokens = np.where(rng.random((ROWS, 7)) < 0.5, -100, rng.integers(0, 5, (ROWS, 7)))
    tokens[0] = -100
    labels = {
        "ForMaskedLM": {"labels": tokens},
        "ForSequenceClassification": {"labels": rng.integers(0, 5, ROWS)},
        "ForMultipleChoice": {"labels": rng.integers(0, 2, ROWS)},
        "ForTokenClassification": {"labels": tokens},
        "ForQuestionAnswering": {
            "start_positions": rng.integers(0, 9, ROWS),
            "end_positions": rng.integers(-1, 6, ROWS),
        },
    }[head]
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}, labels


def model_of(head: str, strategy: tf.distribute.Strategy, **options: Any) -> Any:
    """Return a compiled model; with one replica it runs step by step, which takes less time than to trace it."""
    keras.utils.set_random_seed(1)
    sizes = {"n_layers": 1, "num_labels": 2 if head == "ForQuestionAnswering" else 5, "initializer_range": 0.4}
    with strategy.scope():
        model = CLASSES[head](small(**sizes, **RATES))
        model.compile(keras.optimizers.SGD(0.5), run_eagerly=strategy is ONE, **options)
    return model


def results(model: Any, data: Any, rows: int = ROWS, training_alone: bool = True) -> list[np.ndarray]:
    """Return what `fit` gives, and the weights after it; before that what `evaluate` and `predict` give."""
    batches = tf.data.Dataset.from_tensor_slices(data).take(rows).batch(BATCH)
    before = (
        []
        if training_alone
        else [np.array(model.evaluate(batches, verbose=0)), *model.predict(batches, verbose=0).values()]
    )
    history = model.fit(batches, verbose=0).history
    return [*before, *map(np.array, history.values()), *map(array, model.weights)]


def custom_loop(strategy: tf.distribute.Strategy) -> list[np.ndarray]:
    """Return the losses and weights of a loop around a step, which takes the loss of the model's output as it is."""
    model, (inputs, labels) = model_of("ForTokenClassification", strategy), data_of("ForTokenClassification")
    model.optimizer.build(model.trainable_variables)
    batches = strategy.experimental_distribute_dataset(
        tf.data.Dataset.from_tensor_slices({**inputs, **labels}).batch(BATCH)
    )

    def step(batch: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = model(batch, training=True).loss
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    @tf.function(input_signature=[batches.element_spec])  # or the last batch is traced again
    def run(batch: Any) -> Any:
        return strategy.reduce("SUM", strategy.run(step, args=(batch,)), axis=None)

    return [np.array([float(run(batch)) for batch in batches]), *map(array, model.weights)]


def show(name: str, one: list[np.ndarray], two: list[np.ndarray]) -> None:
    difference = max(float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True))
    sys.stdout.write(f"{name} {'equal' if difference < 1e-4 else f'differ by {difference}'}\n")


for head in TASKS:
    inputs, labels = data_of(head)
    if head in ("ForMaskedLM", "ForMultipleChoice"):
        data: Any = {**inputs, **labels}
    else:
        y = labels if len(labels) > 1 else labels["labels"]
        data = (inputs, y, WEIGHTS)
    alone = head != "ForQuestionAnswering"
    show(head, *(results(model_of(head, strategy), data, training_alone=alone) for strategy in (ONE, TWO)))

inputs, labels = data_of("ForSequenceClassification")
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
options = {"loss": loss, "metrics": ["accuracy"]}
models = [model_of("ForSequenceClassification", strategy, **options) for strategy in (ONE, TWO)]
show("a Keras loss", *(results(model, {**inputs, **labels}, rows=BATCH) for model in models))
show("a custom loop", *map(custom_loop, (ONE, TWO)))

with TWO.scope():
    loaded = CLASSES["ForTokenClassification"].from_pretrained(MICRO / "ForTokenClassification" / "pt")
alone = CLASSES["ForTokenClassification"].from_pretrained(MICRO / "ForTokenClassification" / "pt")
show("a loaded model", *([array(model(inputs).logits)] for model in (alone, loaded)))

with tf.distribute.MultiWorkerMirroredStrategy().scope():
    worker = CLASSES["ForTokenClassification"].from_pretrained(MICRO / "ForTokenClassification" / "pt")
    worker.compile(keras.optimizers.SGD(0.5))
show("one worker", *([array(model(inputs).logits)] for model in (alone, worker)))
