"""The attention functions of Keras: eager and fused agree, and what masks, head masks and dropout do."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from tf_models import array, difference

from distilbert_common.constants import MASKED_SCORE
from distilbert_common.errors import InputError
from distilbert_tf.attention import eager_attention, expand_mask, sdpa_attention
from parity_tests.helpers.tolerances import rounding

BATCH, HEADS, SEQ, HEAD_DIM = 3, 2, 5, 4
DTYPES = ["float32", "bfloat16", "float16"]


def qkv(dtype: str = "float32") -> list[keras.KerasTensor]:
    draw = np.random.default_rng(0)
    return [ops.cast(draw.normal(size=(BATCH, HEADS, SEQ, HEAD_DIM)), dtype) for _ in range(3)]


def padding() -> np.ndarray:
    """The last row has nothing to attend to."""
    return np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_eager_and_fused_agree(dtype: str, masked: bool) -> None:
    mask = expand_mask(padding()) if masked else None
    eager, _ = eager_attention(*qkv(dtype), mask)
    fused = sdpa_attention(*qkv(dtype), mask)
    assert keras.backend.standardize_dtype(eager.dtype) == keras.backend.standardize_dtype(fused.dtype) == dtype
    assert difference(eager, fused) <= rounding(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_with_nothing_to_attend_to_attends_uniformly(dtype: str) -> None:
    query, key, value = qkv(dtype)
    mask = expand_mask(padding())
    mean = array(value)[2].mean(axis=1, keepdims=True)
    context, probabilities = eager_attention(query, key, value, mask)
    assert np.allclose(array(probabilities)[2], 1 / SEQ, atol=1e-3)
    for actual in (context, sdpa_attention(query, key, value, mask)):
        assert np.allclose(array(actual)[2], mean, atol=rounding(dtype), rtol=0)


def test_masked_keys_have_no_weight() -> None:
    _, probabilities = eager_attention(*qkv(), expand_mask(padding()))
    assert (array(probabilities)[1, :, :, 3:] == 0).all()
    assert np.allclose(array(probabilities).sum(-1), 1)


def test_scores_are_scaled_by_the_square_root_of_head_dim() -> None:
    query, key, value = qkv()
    scores = array(query).astype(float) @ array(key).astype(float).swapaxes(2, 3) / HEAD_DIM**0.5
    expected = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    assert np.allclose(array(eager_attention(query, key, value, None)[1]), expected, atol=1e-6)


@pytest.mark.parametrize(
    "mask",
    [padding() != 0, padding() * 1.0, padding() * 2, padding() * 0.5, -padding(), padding()[:, None, None]],
    ids=["bool", "float", "two", "half", "negative", "4D"],
)
def test_any_non_zero_value_attends(mask: np.ndarray) -> None:
    assert np.array_equal(array(expand_mask(mask)), padding()[:, None, None] != 0)


@pytest.mark.parametrize("closed", [float("-inf"), MASKED_SCORE, -1e4])
def test_a_four_axis_float_mask_is_added(closed: float) -> None:
    additive = np.broadcast_to(np.where(padding(), 0.0, closed)[:, None, None], (BATCH, 1, SEQ, SEQ))
    expected = array(eager_attention(*qkv(), expand_mask(padding()))[0])
    for actual in (eager_attention(*qkv(), expand_mask(additive))[0], sdpa_attention(*qkv(), expand_mask(additive))):
        assert np.allclose(array(actual)[:2], expected[:2], atol=1e-6)
        assert np.isfinite(array(actual)).all()


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(3, 5, 5\); expected \(batch, seq\)"):
        expand_mask(np.ones((BATCH, SEQ, SEQ)))


def test_head_mask_scales_the_probabilities_of_each_head() -> None:
    query, key, value = qkv()
    factors = ops.convert_to_tensor(np.array([0.0, 2.0], np.float32)[None, :, None, None])
    plain, _ = eager_attention(query, key, value, None)
    scaled, probabilities = eager_attention(query, key, value, None, head_mask=factors)
    assert (array(probabilities)[:, 0] == 0).all()
    assert np.allclose(array(scaled), array(plain * factors), atol=1e-6)


def test_dropout_acts_on_the_probabilities() -> None:
    dropout = keras.layers.Dropout(0.25, seed=0)
    many = [ops.tile(x, (40, 1, 1, 1)) for x in qkv()]
    _, probabilities = eager_attention(*many, None, lambda x: dropout(x, training=True))
    assert 0.2 < (array(probabilities) == 0).mean() < 0.3
    assert abs(array(probabilities).sum(-1).mean() - 1) < 0.05, "what is kept is scaled up"
