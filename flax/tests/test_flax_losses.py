from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from distilbert_common.errors import InputError
from distilbert_flax import losses
from parity_tests.helpers.loss_definitions import cross_entropy


def logits(*shape: int) -> Array:
    return jax.random.normal(jax.random.key(1), shape)


def test_cross_entropy_ignores_minus_100() -> None:
    x = logits(2, 3, 5)
    labels = np.array([[1, -100, 2], [-100, -100, 4]])
    labeled = labels >= 0
    assert float(losses.cross_entropy(x, labels)) == pytest.approx(cross_entropy(x[labeled], labels[labeled]), rel=1e-6)


def test_all_ignored_gives_zero_and_no_gradient() -> None:
    loss, gradient = jax.value_and_grad(losses.cross_entropy)(logits(2, 3, 5), np.full((2, 3), -100))
    assert loss == 0
    assert not gradient.any()


@pytest.mark.parametrize("wrong", [5, -1])
def test_a_label_that_is_no_class_is_refused_and_shows_in_traced_code(wrong: int) -> None:
    labels = np.array([1, wrong])
    with pytest.raises(InputError, match=rf"labels hold {wrong}; expected 0..4, or -100"):
        losses.cross_entropy(logits(2, 5), labels)
    assert jnp.isnan(jax.jit(losses.cross_entropy)(logits(2, 5), labels))


def test_binary_cross_entropy_of_large_logits_is_finite() -> None:
    loss, gradient = jax.value_and_grad(losses.binary_cross_entropy)(jnp.array([[200.0, -200.0]]), np.array([[0, 1]]))
    assert loss == pytest.approx(200)
    assert np.allclose(gradient, [[0.5, -0.5]])


def test_question_answering_ignores_positions_outside() -> None:
    start, end = logits(4, 6), logits(4, 6) * 2
    starts, ends = np.array([0, 6, -1, 5]), np.array([[3], [2], [99], [0]])
    start_rows, end_rows = np.array([0, 3]), np.array([0, 1, 3])
    expected = cross_entropy(start[start_rows], starts[start_rows]) + cross_entropy(end[end_rows], ends[end_rows, 0])
    assert float(losses.question_answering_loss(start, end, starts, ends)) == pytest.approx(expected / 2, rel=1e-6)
    outside = np.full(4, 6)
    assert losses.question_answering_loss(start, end, outside, outside) == 0


def test_losses_are_float32_in_half_precision() -> None:
    x = logits(2, 5).astype(jnp.float16)
    loss = losses.cross_entropy(x, np.array([0, 1]))
    assert loss.dtype == jnp.float32
    assert float(loss) == pytest.approx(cross_entropy(x, np.array([0, 1])), rel=1e-6)


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher, hidden = logits(2, 3, 7), 2 * logits(2, 3, 7), logits(2, 3, 4)
    labels, mask = np.array([[1, -100, 2]] * 2), np.array([[1, 1, 1], [1, 0, 0]])

    def total(teacher: Array, teacher_hidden: Array) -> Array:
        return losses.distillation_loss(student, teacher, labels, hidden, teacher_hidden, mask).total

    assert total(teacher, -hidden) > total(student, hidden) > 0
    assert not any(gradient.any() for gradient in jax.grad(total, argnums=(0, 1))(teacher, -hidden))


def test_gradients_of_masked_lms_loss_have_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be wrong, and nothing would say so, if what was computed with the loss were taken for a constant."""
    labels, second = np.array([[0, 1, -100, 3, 4, 0]]), []

    def loss(x: Array, weight: Array, bias: Array) -> Array:
        return losses.masked_lm_loss(jnp.tanh(x + weight[0]), weight, bias, labels)  # as if it were tied

    def square(*variables: Array) -> Array:
        return sum(jnp.square(each).sum() for each in jax.grad(loss, (0, 1, 2))(*variables))

    for fast in ("1", "0"):
        monkeypatch.setenv("DISTILBERT_FAST", fast)
        second.append(jax.jit(jax.grad(square, (0, 1, 2)))(logits(1, 6, 8), logits(5, 8), logits(5)))
    for one, other in zip(*second, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
