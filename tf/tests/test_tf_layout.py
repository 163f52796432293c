from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from distilbert_common.packing import pack
from distilbert_common.unpadding import pack_batch
from distilbert_tf import (
    DistilBertConfig,
    TFDistilBertForMaskedLM,
    TFDistilBertForQuestionAnswering,
    TFDistilBertForSequenceClassification,
)
from distilbert_tf.layout import NO_PADDING, Packed, Unpadded, padded_layout
from distilbert_tf.segments import first_tokens, segment_mask, segment_onehot, segment_positions
from parity_tests.helpers.tolerances import MATRIX

SEGMENTS = tf.constant([[1, 1, 2, 2, 2, 0, 0], [1, 0, 0, 0, 0, 0, 0]])
CONFIG = DistilBertConfig(
    vocab_size=50, dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=64, num_labels=2,
    dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0, qa_dropout=0.0,
)  # fmt: skip
LISTS = [[5, 6, 7], [8, 9], [10, 11, 12, 13], [14, 15]]


def test_positions_start_anew() -> None:
    assert segment_positions(SEGMENTS).numpy().tolist() == [[0, 1, 0, 1, 2, 0, 1], [0, 0, 1, 2, 3, 4, 5]]


def test_tokens_attend_within_their_segment() -> None:
    mask = segment_mask(SEGMENTS).numpy()
    assert mask.shape == (2, 1, 7, 7)
    assert mask[0, 0, 3].tolist() == [False, False, True, True, True, False, False]
    assert not mask[0, 0, 5:].any()


def test_first_tokens() -> None:
    x = tf.reshape(tf.range(14.0), (2, 7, 1))  # (batch, seq, dim)
    assert first_tokens(x, SEGMENTS, 2).numpy()[..., 0].tolist() == [[0, 2], [7, 7]]
    assert segment_onehot(SEGMENTS, 2).numpy().any(-1).tolist() == [[True, True], [True, False]]


def test_a_layout_gathers_and_scatters() -> None:
    mask = tf.constant([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]])
    x = tf.reshape(tf.range(1.0, 13.0), (3, 4, 1))  # (batch, seq, dim)
    unpadded = Unpadded(*map(tf.constant, pack_batch(mask.numpy() != 0, 3, rounded=False)))
    assert unpadded.gather(x).shape == (2, 3, 1)
    assert unpadded.positions(None).shape == (2, 3)
    for layout in (unpadded, padded_layout(mask, None, True)):
        scattered = layout.scatter(layout.gather(x), -1.0).numpy()[..., 0]
        assert scattered.tolist() == [[1, 2, 3, -1], [5, -1, -1, -1], [9, 10, -1, -1]]
    assert padded_layout(None, None, True) is NO_PADDING
    packed = padded_layout(None, SEGMENTS, False)
    assert isinstance(packed, Packed)
    assert packed.scatter(tf.ones((2, 7, 1)), 0.0).numpy().sum() == 6


def test_one_program_of_xla_serves_any_content() -> None:
    model, traces = TFDistilBertForSequenceClassification(CONFIG), []

    @tf.function(jit_compile=True)
    def compiled(ids: tf.Tensor, segment_ids: tf.Tensor) -> tf.Tensor:
        traces.append(1)
        return model(input_ids=ids, segment_ids=segment_ids, num_segments=2).logits

    ids = tf.constant(np.random.default_rng(0).integers(50, size=(2, 7)))
    for segment_ids in (SEGMENTS, SEGMENTS[::-1], tf.ones_like(SEGMENTS)):
        expected = model(input_ids=ids, segment_ids=segment_ids, num_segments=2).logits
        assert float(tf.reduce_max(tf.abs(compiled(ids, segment_ids) - expected))) <= MATRIX.value
    assert len(traces) == 1


@pytest.mark.parametrize("head", ["classification", "masked LM", "question answering"])
def test_fit_takes_packed_rows(head: str) -> None:
    packed = pack(LISTS, 8)
    if head == "classification":
        model = TFDistilBertForSequenceClassification(CONFIG)
        labels = {"labels": packed.pack_lists([0, 1, 1, 0])}
    elif head == "masked LM":
        model = TFDistilBertForMaskedLM(CONFIG)
        labels = {"labels": packed.pack_tokens(LISTS)}
    else:
        model = TFDistilBertForQuestionAnswering(CONFIG)
        positions = packed.pack_lists([0, 1, 3, 1], -1)
        labels = {"start_positions": positions, "end_positions": positions}
    expected = float(model({**packed.inputs, **labels}).loss)
    model.compile(optimizer=keras.optimizers.SGD(0.1))  # a step of Adam has five times the operations to trace
    dataset = tf.data.Dataset.from_tensor_slices({**packed.arrays, **labels}).batch(len(packed.input_ids))
    history = model.fit(dataset, epochs=8, verbose=0).history["loss"]
    assert history[0] == pytest.approx(expected, abs=MATRIX.value)
    assert history[-1] < history[0]


def test_the_loss_without_logits_in_a_training_loop_of_xla() -> None:
    model, rng = TFDistilBertForMaskedLM(CONFIG), np.random.default_rng(0)
    ids = tf.constant(rng.integers(1, 50, (30, 40)))
    labels = tf.where(tf.constant(rng.random((30, 40)) < 0.6), ids, -100)  # two chunks

    @tf.function(jit_compile=True)
    def step(loss_only: bool) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            loss = model(input_ids=ids, labels=labels, loss_only=loss_only).loss
        return loss, tape.gradient(loss, [v.value for v in model.trainable_variables])

    (loss, gradients), (expected_loss, expected) = step(True), step(False)
    assert float(loss) == pytest.approx(float(expected_loss), rel=1e-5)
    for one, other in zip(gradients, expected, strict=True):
        largest = float(tf.reduce_max(tf.abs(other)))
        assert float(tf.reduce_max(tf.abs(one - other))) <= max(1e-4 * largest, 1e-8)


def test_mixed_precision_without_logits() -> None:
    model = TFDistilBertForMaskedLM(CONFIG, dtype="mixed_bfloat16")
    ids = tf.constant([[5, 6, 7, 8]])
    actual, expected = (model(input_ids=ids, labels=ids, loss_only=loss_only).loss for loss_only in (True, False))
    assert float(actual) == pytest.approx(float(expected), rel=1e-2)
