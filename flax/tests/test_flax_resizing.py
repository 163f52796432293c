from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from distilbert_common.errors import InputError
from distilbert_flax import (
    FlaxDistilBertForMaskedLM,
    FlaxDistilBertForSequenceClassification,
    FlaxDistilBertPreTrainedModel,
)
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"
IDS = np.arange(8)[None]


def masked_lm(**fields) -> FlaxDistilBertForMaskedLM:
    return FlaxDistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt", **fields)


def close(one: jax.Array, other: jax.Array, tolerance: float = 1e-6) -> bool:
    return np.allclose(one, other, atol=tolerance, rtol=0)


def static_sizes(model: FlaxDistilBertPreTrainedModel) -> dict[tuple, dict[str, int]]:
    """Return the whole numbers that the modules keep, such as `out_features`."""
    return {
        path: {name: value for name, value in vars(module).items() if isinstance(value, int)}
        for path, module in nnx.iter_modules(model)
    }


def assert_is_as_if_made_so(model: FlaxDistilBertPreTrainedModel) -> None:
    """Assert that nothing in the model, inside or static, still has its former size."""
    made = type(model)(model.config, param_dtype=model.get_input_embeddings().embedding.dtype, _do_init=False)
    assert model.params_shape_tree == made.params_shape_tree
    assert static_sizes(model) == static_sizes(made)
    assert {id(module.config) for _, module in nnx.iter_modules(model) if hasattr(module, "config")} == {
        id(model.config)
    }
    graphdef, state = nnx.split(model)
    assert isinstance(hash(graphdef), int)
    assert np.array_equal(nnx.merge(graphdef, state)(IDS)[0], model(IDS, params=model.params)[0])


def test_new_rows() -> None:
    old = masked_lm().get_input_embeddings().embedding[...]
    mean = masked_lm().resize_token_embeddings(50).embedding[40:]
    assert close(mean, np.broadcast_to(old.mean(0), (10, 12)))
    model = masked_lm()
    fresh = model.resize_token_embeddings(5000, mean_resizing=False).embedding[40:]
    assert fresh.std() == pytest.approx(0.02, rel=0.05)
    assert not model.vocab_projector.bias[40:].any()
    assert not close(masked_lm(seed=1).resize_token_embeddings(5000, mean_resizing=False).embedding[40:], fresh)
    assert masked_lm().resize_token_embeddings(pad_to_multiple_of=64).embedding.shape == (64, 12)


def test_an_untied_projector_is_resized_too() -> None:
    config = masked_lm().config.updated(tie_word_embeddings=False)
    model = FlaxDistilBertForMaskedLM(config, param_dtype="bfloat16")
    kernel = model.vocab_projector.kernel[...]
    model.resize_token_embeddings(44)
    assert np.array_equal(model.vocab_projector.kernel[:, :40], kernel)
    assert model.vocab_projector.kernel.dtype == jnp.bfloat16
    assert close(model.vocab_projector.kernel[:, 43], kernel.astype(jnp.float32).mean(1), 1e-4)  # bfloat16 of 0.01
    assert model(np.array([[43, 1]])).logits.shape == (1, 2, 44)
    assert_is_as_if_made_so(model)


def test_set_input_embeddings() -> None:
    model = masked_lm()
    embeddings = nnx.Embed(9, 12, rngs=nnx.Rngs(0))
    model.set_input_embeddings(embeddings)
    assert model.get_input_embeddings() is embeddings
    assert model.config.vocab_size == model.distilbert.config.vocab_size == 9
    expected = model.vocab_layer_norm(model.activation(model.vocab_transform(model.distilbert(IDS)[0])))
    assert close(model(IDS).logits, expected @ embeddings.embedding[...].T + model.vocab_projector.bias[...])
    assert FlaxDistilBertForSequenceClassification(model.config).get_output_embeddings() is None


def test_a_model_without_parameters_is_given_some_first() -> None:
    model, params = masked_lm(_do_init=False)
    changes = (
        lambda: model.resize_token_embeddings(45),
        lambda: model.resize_position_embeddings(20),
        lambda: model.prune_heads({0: [1]}),
    )
    for change in changes:
        with pytest.raises(InputError, match=r"set them first: model\.params = params"):
            change()
    model.params = params
    for change in changes:
        change()
    assert model.params["distilbert"]["embeddings"]["word_embeddings"]["embedding"].shape == (45, 12)


def test_clones_and_graphs_split_off_before_keep_their_sizes() -> None:
    model = masked_lm()
    expected = model(IDS).logits
    clone, (graphdef, state) = nnx.clone(model), nnx.split(model)
    before = hash(graphdef)
    model.prune_heads({0: [1]})
    model.resize_token_embeddings(45)
    for one in (clone, nnx.merge(graphdef, state)):
        assert (one.config.vocab_size, one.config.pruned_heads) == (40, {})
        assert np.array_equal(one(IDS, head_mask=np.ones(2)).logits, clone(IDS, head_mask=np.ones(2)).logits)
        assert np.array_equal(one(IDS).logits, expected)
    assert hash(graphdef) == before


def test_compiled_code_follows_the_size() -> None:
    model = masked_lm()
    run = nnx.jit(lambda model, ids: model(ids).logits)
    assert run(model, IDS).shape == (1, 8, 40)
    model.resize_token_embeddings(45)
    model.resize_position_embeddings(20)
    assert run(model, np.full((1, 20), 44)).shape == (1, 20, 45)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.resize_token_embeddings(45),
        lambda model: model.resize_token_embeddings(40),
        lambda model: model.resize_token_embeddings(30),
        lambda model: model.resize_position_embeddings(30),
        lambda model: model.resize_position_embeddings(9),
        lambda model: [model.prune_heads({0: [1]}), model.prune_heads({1: [0], 0: [1]})],
    ],
    ids=["more words", "as many words", "fewer words", "more positions", "fewer positions", "pruned"],
)
def test_a_changed_model_is_as_if_made_so(change: Callable[[FlaxDistilBertForMaskedLM], object]) -> None:
    model = masked_lm()
    change(model)
    assert_is_as_if_made_so(model)
