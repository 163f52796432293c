from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from distilbert_common.errors import ConfigError, InputError
from distilbert_common.initialization import sinusoidal_table
from distilbert_flax import (
    FlaxDistilBertForMaskedLM,
    FlaxDistilBertForSequenceClassification,
    FlaxDistilBertPreTrainedModel,
    Frozen,
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


@pytest.mark.parametrize("size", [45, 40, 30])
def test_vocabulary(size: int, tmp_path: Path) -> None:
    model, old = masked_lm(), masked_lm()
    embeddings = model.resize_token_embeddings(size)
    kept = min(size, 40)
    assert embeddings is model.get_input_embeddings()
    assert embeddings.embedding.shape == (size, 12)
    assert np.array_equal(embeddings.embedding[:kept], old.get_input_embeddings().embedding[:kept])
    assert set(model.params["vocab_projector"]) == {"bias"}, "still tied"
    logits = model(IDS).logits
    assert logits.shape == (1, 8, size)
    assert close(logits[..., :kept], old(IDS).logits[..., :kept])
    assert_is_as_if_made_so(model)
    model.save_pretrained(tmp_path)
    assert FlaxDistilBertForMaskedLM.from_pretrained(tmp_path).config.vocab_size == size


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


@pytest.mark.parametrize("positions", [30, 9])
def test_learned_positions(positions: int, tmp_path: Path) -> None:
    model, old = masked_lm(), masked_lm()
    model.resize_position_embeddings(positions)
    assert np.array_equal(model(IDS).logits, old(IDS).logits)
    longest = np.ones((1, positions), int)
    assert jnp.isfinite(model(longest).logits).all()
    with pytest.raises(InputError, match=f"the model has {positions} positions"):
        model(np.ones((1, positions + 1), int))
    assert_is_as_if_made_so(model)
    model.save_pretrained(tmp_path)
    again = FlaxDistilBertForMaskedLM.from_pretrained(tmp_path)
    assert np.array_equal(again(longest).logits, model(longest).logits)


def test_sinusoidal_positions_go_on_as_the_sinusoid_and_stay_frozen() -> None:
    model = masked_lm(sinusoidal_pos_embds=True)
    stored = model.get_position_embeddings().embedding[...]
    model.resize_position_embeddings(24)
    table = model.get_position_embeddings().embedding
    assert np.array_equal(table[:16], stored), "a stored table may have been trained"
    assert np.array_equal(table[16:], sinusoidal_table(24, 12)[16:])
    assert isinstance(table, Frozen)
    assert jnp.isfinite(model(np.ones((1, 24), int)).logits).all()


@pytest.mark.parametrize("size", [0, -3, 2.5, True])
def test_impossible_sizes(size: object) -> None:
    model = masked_lm()
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        model.resize_position_embeddings(size)
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        model.resize_token_embeddings(size)


def test_the_pad_token_stays_in_the_vocabulary() -> None:
    model = masked_lm(pad_token_id=5)
    with pytest.raises(ConfigError, match=r"'pad_token_id' is 5; it must be below vocab_size \(3\)"):
        model.resize_token_embeddings(3)
    assert model(IDS).logits.shape == (1, 8, 40), "as it was"


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


def test_pruned_heads_are_as_if_masked(tmp_path: Path) -> None:
    model, whole = masked_lm(), masked_lm()
    mask = np.array([[1.0, 0.0], [0.0, 1.0]])
    model.prune_heads({0: [1]})
    model.prune_heads({1: [0], 0: [1]})
    assert model.distilbert.transformer.layer[0].attention.q_lin.kernel.shape == (12, 6)
    assert model.config.pruned_heads == {0: [1], 1: [0]}
    assert whole.num_parameters() - model.num_parameters() == 2 * (4 * 6 * 12 + 3 * 6)
    expected = whole(IDS, head_mask=mask).logits
    assert close(model(IDS).logits, expected, 1e-5)
    assert close(model(IDS, head_mask=np.ones((2, 2)), output_attentions=True).logits, expected, 1e-5)
    assert_is_as_if_made_so(model)
    model.save_pretrained(tmp_path)
    again = FlaxDistilBertForMaskedLM.from_pretrained(tmp_path)
    assert np.array_equal(again(IDS).logits, model(IDS).logits)
    assert again.config.pruned_heads == {0: [1], 1: [0]}


@pytest.mark.parametrize(
    ("heads", "words"),
    [({5: [0]}, "no layer 5"), ({0: [2]}, "heads 0..1; asked to prune"), ({0: [0, 1]}, "leaves none in layer 0")],
)
def test_impossible_pruning(heads: dict[int, list[int]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        masked_lm().prune_heads(heads)
