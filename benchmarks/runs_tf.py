"""What is measured in TensorFlow: ours on Keras 3, transformers' on tf-keras, and KerasHub's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import runs
from runs import Batch, Run


def forward(implementation: str, folder: Path, workload: str) -> Run:
    """Return what runs batches: our default call, the baselines' in a `tf.function` that leaves sizes open."""
    if implementation == "keras-hub-tf":
        return forward_keras_hub(folder)
    half = "bfloat16" in workload
    if half and not runs.is_ours(implementation):
        import tf_keras

        tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    options = {"dtype": "mixed_bfloat16"} if half and runs.is_ours(implementation) else {}
    model = runs.load(implementation, folder, runs.head_of(workload), **options)
    call = tf.function(lambda batch: model(batch, training=False).logits, reduce_retracing=True)

    def run(batches: list[Batch]) -> np.ndarray:
        if runs.is_ours(implementation):
            logits = [model(**batch).logits for batch in batches]
        else:
            logits = [call({name: tf.constant(array) for name, array in batch.items()}) for batch in batches]
        return np.concatenate([tf.cast(one, tf.float32).numpy() for one in logits])

    return run


def xla(implementation: str, folder: Path, workload: str) -> Run:
    """Return what runs batches, ours compiled by XLA, which does so anew for each size."""
    if not runs.is_ours(implementation):
        return forward(implementation, folder, workload)
    model = runs.load(implementation, folder, runs.head_of(workload))
    call = tf.function(lambda batch: model(batch).logits, jit_compile=True)
    return lambda batches: np.concatenate(
        [call({name: tf.constant(array) for name, array in batch.items()}).numpy() for batch in batches]
    )


def forward_keras_hub(folder: Path) -> Run:
    """Return what runs batches in KerasHub's backbone; there is no loss or head to compare, so first tokens are."""
    import keras_hub

    model = keras_hub.models.DistilBertBackbone.from_preset(str(folder / "keras-hub"))
    call = tf.function(lambda batch: model(batch)[:, 0], reduce_retracing=True)

    def run(batches: list[Batch]) -> np.ndarray:
        renamed = [{"token_ids": b["input_ids"], "padding_mask": b["attention_mask"]} for b in batches]
        return np.concatenate([call({k: tf.constant(v) for k, v in batch.items()}).numpy() for batch in renamed])

    return run


def first_token(implementation: str, folder: Path, workload: str) -> Run:
    """Return what gives the last hidden state of each first token, as KerasHub's backbone does."""
    if not runs.is_ours(implementation):
        return forward_keras_hub(folder)
    model = runs.load(implementation, folder, "Model")
    return lambda batches: np.concatenate([model(**b).last_hidden_state.numpy()[:, 0] for b in batches])


def step(implementation: str, folder: Path, workload: str) -> Run:
    """Return what takes a step of training by `train_on_batch`; ours packed, whose fixed sizes XLA takes."""
    model: Any = runs.load(implementation, folder, runs.head_of(workload), **runs.NO_DROPOUT)
    packed = runs.is_ours(implementation) and "masked" not in workload
    if runs.is_ours(implementation):
        import keras

        model.compile(keras.optimizers.AdamW(1e-7), jit_compile=packed)
    else:
        import tf_keras

        model.compile(tf_keras.optimizers.AdamW(1e-7))

    def run(batches: list[Batch]) -> np.ndarray:
        if packed:
            batches = [runs.packed_step(batch) for batch in batches]
        return np.array([np.ravel(model.train_on_batch(batch))[0] for batch in batches])

    return run


def encode(implementation: str, folder: Path, _: str) -> Run:
    """Return what makes a vector of each sentence from packed rows."""
    model = runs.load(implementation, folder, "Model")
    return runs.encode_packed(lambda rows: model(**rows).last_hidden_state.numpy(), folder)


def matrix(implementation: str, folder: Path, workload: str) -> Run:
    """Return what multiplies two matrices once."""
    tokens, dim, hidden_dim = runs.MATRIX
    dtype = tf.bfloat16 if "bfloat16" in workload else tf.float32
    x, weight = tf.ones((tokens, dim), dtype), tf.ones((dim, hidden_dim), dtype)
    call = tf.function(lambda: tf.matmul(x, weight)[:1, :1])
    return lambda _: tf.cast(call(), tf.float32).numpy()


def products(_: str, folder: Path, workload: str) -> Run:
    """Return what takes the products of one call alone, each with a matrix of its own."""
    dtype = tf.bfloat16 if "bfloat16" in workload else tf.float32
    weights = [tf.Variable(tf.ones(shape, dtype)) for shape in runs.SHAPES]
    rows = {width: tf.ones((runs.tokens_of(workload), width), dtype) for width, _ in runs.SHAPES}
    call = tf.function(lambda: [tf.matmul(rows[weight.shape[0]], weight) for weight in weights])
    return lambda _: tf.cast(call()[-1][:1, :1], tf.float32).numpy()


def step_products(_: str, folder: Path, workload: str) -> Run:
    """Return what takes the products of one step alone: each layer's own, and those of its two gradients."""
    shapes = runs.step_shapes(folder, workload, packed=True)
    parts = [(tf.ones((n, width)), tf.ones((width, out)), tf.ones((n, out))) for n, width, out in shapes]

    @tf.function
    def call() -> list[tf.Tensor]:
        each = (
            (x @ weight, tf.matmul(d, weight, transpose_b=True), tf.matmul(x, d, transpose_a=True))
            for x, weight, d in parts
        )
        return [product for products in each for product in products]

    return lambda _: call()[-1][:1, :1].numpy()
