from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import Array

from distilbert_common.constants import MASKED_SCORE
from distilbert_common.errors import InputError
from distilbert_flax.attention import eager_attention, expand_mask, sdpa_attention
from parity_tests.helpers.tolerances import rounding

BATCH, HEADS, SEQ, HEAD_DIM = 3, 2, 5, 4
DTYPES = [jnp.float32, jnp.bfloat16, jnp.float16]


def qkv(dtype: type = jnp.float32) -> tuple[Array, ...]:
    keys = jax.random.split(jax.random.key(0), 3)
    return tuple(jax.random.normal(key, (BATCH, HEADS, SEQ, HEAD_DIM)).astype(dtype) for key in keys)


def padding() -> Array:
    """The last row has nothing to attend to."""
    return jnp.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]])


def close(one: Array, other: Array, tolerance: float) -> bool:
    return np.allclose(one.astype(jnp.float32), other.astype(jnp.float32), atol=tolerance, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_eager_and_fused_agree(dtype: type, masked: bool) -> None:
    mask = expand_mask(padding()) if masked else None
    eager, _ = eager_attention(*qkv(dtype), mask)
    fused = jax.jit(sdpa_attention)(*qkv(dtype), mask)
    assert eager.dtype == fused.dtype == dtype
    assert close(eager, fused, rounding(jnp.dtype(dtype).name))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_with_nothing_to_attend_to_attends_uniformly(dtype: type) -> None:
    query, key, value = qkv(dtype)
    mask = expand_mask(padding())
    mean = jnp.broadcast_to(value[2].astype(jnp.float32).mean(axis=1, keepdims=True), value[2].shape)
    context, probabilities = eager_attention(query, key, value, mask)
    assert close(probabilities[2], jnp.full((HEADS, SEQ, SEQ), 1 / SEQ), 1e-3)
    for one in (context, sdpa_attention(query, key, value, mask)):
        assert close(one[2], mean, rounding(jnp.dtype(dtype).name))


def test_masked_keys_have_no_weight() -> None:
    _, probabilities = eager_attention(*qkv(), expand_mask(padding()))
    assert not probabilities[1, :, :, 3:].any()
    assert np.allclose(probabilities.sum(-1), 1)


def test_scores_are_scaled_by_the_square_root_of_head_dim() -> None:
    query, key, value = (np.asarray(x, np.float64) for x in qkv())
    _, probabilities = eager_attention(*qkv(), None)
    scores = np.exp(query @ key.swapaxes(2, 3) / HEAD_DIM**0.5)
    expected = scores / scores.sum(-1, keepdims=True)
    assert np.allclose(probabilities, expected, atol=1e-6)
    assert np.allclose(sdpa_attention(*qkv(), None), expected @ value, atol=2e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_scores_beyond_the_compute_dtype_stay_finite(dtype: type) -> None:
    query, key, value = (x * 400 for x in qkv(dtype))
    assert float(jnp.abs(query.astype(jnp.float32) @ key.astype(jnp.float32).mT).max()) > 65504
    for context in (eager_attention(query, key, value, None)[0], sdpa_attention(query, key, value, None)):
        assert jnp.isfinite(context).all()


@pytest.mark.parametrize(
    "mask",
    [
        padding().astype(bool),
        padding().astype(float),
        padding() * 2,
        padding() * 0.5,
        -padding(),
        padding()[:, None, None],
    ],
    ids=["bool", "float", "two", "half", "negative", "4D"],
)
def test_any_non_zero_value_attends(mask: Array) -> None:
    expected = expand_mask(padding())
    assert (expand_mask(mask) == expected).all()
    assert (sdpa_attention(*qkv(), expand_mask(mask)) == sdpa_attention(*qkv(), expected)).all()


@pytest.mark.parametrize("closed", [float("-inf"), MASKED_SCORE, -1e4])
def test_a_four_axis_float_mask_is_added(closed: float) -> None:
    additive = jnp.where(padding() != 0, 0.0, closed)[:, None, None].repeat(SEQ, axis=2)
    expected, _ = eager_attention(*qkv(), expand_mask(padding()))
    for context in (eager_attention(*qkv(), expand_mask(additive))[0], sdpa_attention(*qkv(), expand_mask(additive))):
        assert close(context[:2], expected[:2], 1e-6)
        assert jnp.isfinite(context).all()


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(3, 5, 5\); expected \(batch, seq\)"):
        expand_mask(jnp.ones((BATCH, SEQ, SEQ)))


def test_head_mask_scales_the_probabilities_of_each_head() -> None:
    factors = jnp.array([0.0, 2.0])[None, :, None, None]
    plain, _ = eager_attention(*qkv(), None)
    scaled, probabilities = eager_attention(*qkv(), None, head_mask=factors)
    assert not probabilities[:, 0].any()
    assert close(scaled, plain * factors, 1e-6)


def test_dropout_acts_on_the_probabilities() -> None:
    dropout = nnx.Dropout(0.25, deterministic=False, rngs=nnx.Rngs(0))
    _, probabilities = eager_attention(*(x.repeat(40, axis=0) for x in qkv()), None, dropout=dropout)
    dropped = float((probabilities == 0).mean())
    assert 0.2 < dropped < 0.3
    assert abs(float(probabilities.sum(-1).mean()) - 1) < 0.05, "what is kept is scaled up"


def test_gradients_of_a_row_with_nothing_to_attend_to_are_finite() -> None:
    mask = expand_mask(padding())
    for attention in (lambda *x: eager_attention(*x, mask)[0], lambda *x: sdpa_attention(*x, mask)):
        gradients = jax.jit(jax.grad(lambda *x, attend=attention: attend(*x).sum(), argnums=(0, 1, 2)))(*qkv())
        assert all(jnp.isfinite(gradient).all() for gradient in gradients)


def test_dropout_takes_the_same_weights_with_and_without_probabilities() -> None:
    def dropping() -> nnx.Dropout:
        return nnx.Dropout(0.25, deterministic=False, rngs=nnx.Rngs(0))

    eager, probabilities = eager_attention(*qkv(), None, dropout=dropping())
    assert (probabilities == 0).any()
    assert close(eager, sdpa_attention(*qkv(), None, dropping()), 1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_the_eager_attention(masked: bool) -> None:
    mask = expand_mask(padding()) if masked else None
    of_each = jax.random.normal(jax.random.key(1), qkv()[0].shape)

    def gradients(attention: Callable[..., Array]) -> tuple[Array, ...]:
        return jax.grad(lambda *x: (attention(*x) * of_each).sum(), argnums=(0, 1, 2))(*qkv())

    expected = gradients(lambda *x: eager_attention(*x, mask)[0])
    sdpa_gradients = gradients(lambda *x: sdpa_attention(*x, mask))
    assert all(close(one, other, 2e-6) for one, other in zip(sdpa_gradients, expected, strict=True))
    assert all(float(jnp.abs(one).max()) > 0.1 for one in expected)


def test_forward_derivatives_are_those_of_the_eager_attention() -> None:
    def along_itself(attention: Callable[..., Array]) -> Array:
        return jax.jvp(attention, qkv(), qkv())[1]

    expected = along_itself(lambda *x: eager_attention(*x, None)[0])
    assert close(along_itself(lambda *x: sdpa_attention(*x, None)), expected, 5e-6)
