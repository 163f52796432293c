from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import golden
from distilbert_common.buckets import buckets
from distilbert_common.errors import InputError
from distilbert_flax import FlaxDistilBertForMaskedLM, FlaxDistilBertForSequenceClassification, FlaxDistilBertModel
from distilbert_flax.bucketing import SMALLEST_LENGTH, to_bucket
from distilbert_flax.programs import program
from packing_cases import padded, save_model, token_lists
from tolerances import MATRIX

MICRO = golden.GOLDEN / "micro"
IDS = np.arange(1, 8)[None]


def load(**fields) -> FlaxDistilBertForMaskedLM:
    return FlaxDistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt", **fields)


def programs(do: Callable[[], object]) -> int:
    """Return how many programs something compiles."""
    before = program.cache_info().misses
    do()
    return program.cache_info().misses - before


def close(one: jax.Array, other: jax.Array) -> bool:
    return one.shape == other.shape and float(jnp.abs(one - other).max()) <= MATRIX.value


def test_a_second_call_compiles_nothing() -> None:
    model = load()
    assert programs(lambda: model(IDS)) == 1
    assert programs(lambda: (model(IDS + 1), model(input_ids=IDS), model(IDS, params=model.params))) == 1
    assert programs(lambda: model(IDS, params=model.params)) == 0, "params make a program of their own"
    assert programs(lambda: nnx.clone(model)(IDS)) == 0, "a clone shares the program"
    assert programs(lambda: model(IDS, jit=False)) == 0


def test_real_batches_of_any_size_compile_no_more_programs_than_there_are_buckets(tmp_path: Path) -> None:
    model = FlaxDistilBertModel.from_pretrained(save_model(tmp_path, "Model"))
    lists, rng = token_lists(300), np.random.default_rng(0)
    batches = [padded([lists[i] for i in rng.integers(300, size=rng.integers(1, 13))]) for _ in range(60)]
    shapes = {batch["input_ids"].shape for batch in batches}
    bound = len(buckets(12)) * len(buckets(40, SMALLEST_LENGTH))
    rounded = {to_bucket(batch, 64)["input_ids"].shape for batch in batches}
    found = programs(lambda: [model(**batch) for batch in batches])
    assert found <= len(rounded) + 1 < len(shapes)
    assert found <= bound


@pytest.mark.parametrize("flags", [{}, {"output_attentions": True, "output_hidden_states": True}], ids=["plain", "all"])
def test_padding_to_a_bucket_is_cut_off_again(flags: dict[str, bool]) -> None:
    model, ids = load(), np.arange(1, 10).reshape(3, 3)
    for mask in (None, np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]]), np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1]])):
        found, expected = (model(ids, mask, **flags, jit=jit) for jit in (True, False))
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            assert close(one, other)
        assert len(model(ids, mask, **flags, return_dict=False)) == len(expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.resize_token_embeddings(44),
        lambda model: model.resize_position_embeddings(20),
        lambda model: model.prune_heads({0: [1]}),
        lambda model: setattr(model.config, "output_hidden_states", True),
        lambda model: setattr(model.distilbert.transformer, "gradient_checkpointing", True),
        lambda model: setattr(model, "activation", jnp.tanh),
        lambda model: setattr(model, "vocab_layer_norm", nnx.LayerNorm(12, rngs=nnx.Rngs(0))),
        lambda model: model.vocab_projector.bias.set_value(jnp.ones(40)),
        lambda model: setattr(model, "params", jax.tree.map(lambda x: x * 0.5, model.params)),
    ],
)
def test_changes_of_the_model_are_noticed(change: Callable[[FlaxDistilBertForMaskedLM], object]) -> None:
    model = load()
    model(IDS)
    change(model)
    found, expected = model(IDS), model(IDS, jit=False)
    assert found.keys() == expected.keys()
    assert close(found.logits, expected.logits)


def test_random_streams_move_on_in_training_and_stand_still_otherwise() -> None:
    model, labels = load(), IDS
    first, second = (model(IDS, labels=labels, train=True).loss for _ in range(2))
    assert first != second
    assert model(IDS, labels=labels).loss == model(IDS, labels=labels).loss
    model.train()
    assert model(IDS)[0].sum() != model(IDS)[0].sum()
    model.eval()
    key = jax.random.key(0)
    assert model(IDS, train=True, dropout_rng=key)[0].sum() == model(IDS, train=True, dropout_rng=key)[0].sum()


def test_errors_are_those_of_a_plain_call() -> None:
    model = load()
    with pytest.raises(InputError, match="input_ids holds 40"):
        model(np.array([[40]]))
    with pytest.raises(InputError, match="labels hold 77"):
        model(IDS, labels=np.full_like(IDS, 77))
    with pytest.raises(InputError, match="give dropout_rng"):
        model(IDS, params=model.params, train=True)
    with pytest.raises(TypeError, match="token_types"):
        model(IDS, token_types=None)
    with pytest.raises(TypeError):
        model(IDS, input_ids=IDS)


def test_calls_within_a_trace_go_into_that_trace() -> None:
    path = MICRO / "ForSequenceClassification" / "pt"
    model = FlaxDistilBertForSequenceClassification.from_pretrained(path)
    plain = model(IDS).logits

    def loss(params: dict, ids: np.ndarray) -> jax.Array:
        return model(ids, params=params).logits.sum()

    assert programs(lambda: jax.jit(jax.grad(loss))(model.params, IDS)) == 0
    assert close(nnx.jit(lambda model, ids: model(ids).logits)(model, IDS), plain)
    assert close(jax.vmap(lambda ids: model(ids).logits)(IDS[None])[0], plain)
