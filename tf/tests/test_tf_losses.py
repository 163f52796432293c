from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_tf import losses
from distilbert_tf.fast.chunked_distillation import TopTargets, chunked_distillation
from distilbert_tf.soft_targets import top_divergence
from parity_tests.helpers.loss_definitions import cross_entropy

Loss = Callable[[np.ndarray, np.ndarray], float]


def logits(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def test_cross_entropy_ignores_minus_100() -> None:
    x, labels = logits(2, 3, 5), np.array([[1, -100, 2], [-100, -100, 4]])
    counted = labels >= 0
    assert float(losses.cross_entropy(x, labels)) == pytest.approx(cross_entropy(x[counted], labels[counted]), rel=1e-6)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_all_ignored_gives_zero_and_no_gradient(dtype: str) -> None:
    x = tf.constant(logits(2, 3, 5))
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = losses.cross_entropy(x, np.full((2, 3), -100, dtype))
    assert float(loss) == 0
    assert not tape.gradient(loss, x).numpy().any()


@pytest.mark.parametrize("label", [5, -1])
def test_a_label_that_is_no_class_is_refused_or_seen(label: int) -> None:
    x, labels = logits(2, 5), np.array([0, label])
    with pytest.raises(InputError, match=rf"labels hold {label}; expected 0\.\.4, or -100"):
        losses.cross_entropy(x, labels)
    assert np.isnan(tf.function(losses.cross_entropy)(x, tf.constant(labels))), "traced code cannot refuse it"


@pytest.mark.parametrize("labels", [np.array([0.0, 2.0]), np.array([[0], [2]])], ids=["float", "a column"])
def test_class_ids_of_any_dtype_or_in_a_column(labels: np.ndarray) -> None:
    config, x = DistilBertConfig(num_labels=3), logits(2, 3)
    loss = losses.sequence_classification_loss(x, labels, config)
    assert float(loss) == pytest.approx(cross_entropy(x, np.array([0, 2])), rel=1e-6)
    with pytest.raises(InputError, match=r"labels hold 0\.5"):
        losses.sequence_classification_loss(x, labels + 0.5, config)
    assert np.isnan(tf.function(losses.cross_entropy)(x, tf.constant([0.5, 1.0]))), "traced code cannot refuse it"


def test_question_answering_ignores_positions_outside() -> None:
    start, end = logits(4, 6), logits(4, 6) * 2
    starts, ends = np.array([0, 6, -1, 5]), np.array([[3], [2], [99], [0]])
    start_rows, end_rows = [0, 3], [0, 1, 3]
    expected = cross_entropy(start[start_rows], starts[start_rows]) + cross_entropy(end[end_rows], ends[end_rows, 0])
    assert float(losses.question_answering_loss(start, end, starts, ends)) == pytest.approx(expected / 2, rel=1e-6)
    outside = np.full(4, 6)
    assert float(losses.question_answering_loss(start, end, outside, outside)) == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_losses_are_float32_in_half_precision(dtype: str) -> None:
    x, labels = tf.cast(logits(2, 5), dtype), np.array([0, 1])
    for each, y in (
        (losses.cross_entropies, labels),
        (losses.squared_errors, logits(2, 5)),
        (losses.binary_cross_entropies, np.eye(5)[:2]),
    ):
        loss = losses.mean_loss(each(x, y))
        assert loss.dtype == tf.float32
        assert float(loss) == float(losses.mean_loss(each(tf.cast(x, "float32"), y)))


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_of_masked_lms_loss_have_gradients(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be wrong, and nothing would say so, if what was computed with the loss were taken for a constant."""
    x, weight, bias = variables = [tf.Variable(logits(*shape)) for shape in ((1, 6, 8), (5, 8), (5,))]
    labels = np.array([[0, 1, -100, 3, 4, 0]])

    def second_gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                loss = losses.masked_lm_loss(tf.tanh(x + weight[0]), weight.value(), bias.value(), labels)  # tied
            squares = [tf.reduce_sum(tf.convert_to_tensor(d) ** 2) for d in inner.gradient(loss, variables)]
            total = tf.add_n(squares)
        return list(map(tf.convert_to_tensor, outer.gradient(total, variables)))

    second = []
    for fast in ("1", "0"):
        monkeypatch.setenv("DISTILBERT_FAST", fast)
        second.append(tf.function(second_gradients, autograph=False)() if compiled else second_gradients())
    for one, other in zip(*second, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_gradients_of_the_loss_of_distillation_have_gradients() -> None:
    x, weight, bias = logits(6, 8), logits(5, 8), logits(5)
    targets = TopTargets(tf.constant([[0, 1], [2, 3]] * 3), logits(6, 2))
    counts, label_weight = (tf.constant(4), tf.constant(0)), tf.constant(1.0)

    def chunked(x: tf.Tensor) -> tf.Tensor:
        return chunked_distillation(x, weight, bias, np.zeros(6, np.int32), counts, targets, 2.0, label_weight).total

    def whole(x: tf.Tensor) -> tf.Tensor:
        y = tf.matmul(x, weight, transpose_b=True) + bias
        return tf.reduce_sum(top_divergence(y, targets.indices, targets.logits, 2.0)[:4]) * 4

    second = []
    for total in (chunked, whole):
        variable = tf.Variable(x)
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                value = total(tf.tanh(variable))
            square = tf.reduce_sum(inner.gradient(value, variable) ** 2)
        second.append(outer.gradient(square, variable))
    np.testing.assert_allclose(*second, atol=1e-5)
