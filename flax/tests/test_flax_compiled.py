from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import distilbert_flax
from distilbert_common.buckets import buckets
from distilbert_common.constants import FAST_SWITCH
from distilbert_common.errors import InputError
from distilbert_common.packing import pack
from distilbert_flax import FlaxDistilBertForMaskedLM, FlaxDistilBertForSequenceClassification, FlaxDistilBertModel
from distilbert_flax.fast.bucketing import MIN_BUCKET_LENGTH, to_bucket
from distilbert_flax.fast.programs import program
from distilbert_flax.fast.snapshots import snapshot_of
from distilbert_flax.layout import padded_layout
from parity_tests.helpers import golden
from parity_tests.helpers.compiled_calls import CONFIG_CHANGES, assert_bad_input_is_refused, assert_is_noticed
from parity_tests.helpers.packing_cases import padded, save_model, token_lists
from parity_tests.helpers.tolerances import MATRIX

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
    sizes = {"n_layers": 1, "dim": 8, "hidden_dim": 8, "n_heads": 2}
    model = FlaxDistilBertModel.from_pretrained(save_model(tmp_path, "Model", **sizes))
    lists, rng = token_lists(300), np.random.default_rng(0)
    batches = [padded([lists[i] for i in rng.integers(300, size=rng.integers(1, 13))]) for _ in range(40)]
    shapes = {batch["input_ids"].shape for batch in batches}
    bound = len(buckets(12)) * len(buckets(40, MIN_BUCKET_LENGTH))
    rounded = {to_bucket(batch, 64)["input_ids"].shape for batch in batches}
    compiled = programs(lambda: [model(**batch) for batch in batches])
    assert compiled <= len(rounded) + 1 < len(shapes)
    assert compiled <= bound


@pytest.mark.parametrize("flags", [{}, {"output_attentions": True, "output_hidden_states": True}], ids=["plain", "all"])
def test_padding_to_a_bucket_is_cut_off_again(flags: dict[str, bool]) -> None:
    model, ids = load(), np.arange(1, 10).reshape(3, 3)
    for mask in (None, np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1]]), np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1]])):
        compiled, expected = (model(ids, mask, **flags, jit=jit) for jit in (True, False))
        for one, other in zip(jax.tree.leaves(compiled), jax.tree.leaves(expected), strict=True):
            assert close(one, other)
        assert len(model(ids, mask, **flags, return_dict=False)) == len(expected)


@pytest.mark.parametrize(
    "change",
    [
        *CONFIG_CHANGES,
        lambda model: setattr(model.distilbert.transformer, "gradient_checkpointing", True),
        lambda model: setattr(model, "activation", jnp.tanh),
        lambda model: setattr(model, "vocab_layer_norm", nnx.LayerNorm(12, rngs=nnx.Rngs(0))),
        lambda model: model.vocab_projector.bias.set_value(jnp.ones(40)),
        lambda model: setattr(model, "params", jax.tree.map(lambda x: x * 0.5, model.params)),
        lambda model: nnx.jit(lambda model: setattr(model, "activation", jnp.tanh))(model),
        lambda model: model.distilbert.transformer.layer.pop(),
    ],
)
def test_changes_of_the_model_are_noticed(change: Callable[[FlaxDistilBertForMaskedLM], object]) -> None:
    assert_is_noticed(change, load(), IDS)


def test_changes_of_others_layers_are_noticed() -> None:
    model = FlaxDistilBertForSequenceClassification.from_pretrained(MICRO / "ForSequenceClassification" / "pt")
    model.classifier = nnx.Linear(12, 3, rngs=nnx.Rngs(0))
    assert model(IDS).logits.shape == (1, 3)
    model.classifier.kernel, model.classifier.bias = nnx.Param(jnp.ones((12, 4))), nnx.Param(jnp.ones(4))
    assert close(model(IDS).logits, model(IDS, jit=False).logits)


def test_nothing_is_read_again_while_nothing_changes() -> None:
    model, other = load(), load()
    snapshot = snapshot_of(model)
    model(IDS), model(IDS, params=model.params), other.train()
    nnx.jit(lambda model: model(IDS)[0])(other)
    assert snapshot_of(model) is snapshot
    model.train()
    assert snapshot_of(model) is not snapshot


@pytest.mark.parametrize("function", [lambda x: x[..., :2], jax.nn.relu], ids=["lambda", "relu"])
def test_a_function_stands_for_a_layer(function: Callable[[jax.Array], jax.Array]) -> None:
    model = FlaxDistilBertForSequenceClassification.from_pretrained(MICRO / "ForSequenceClassification" / "pt")
    model.classifier = function
    output = model(IDS, labels=np.array([1]))
    assert close(output.logits, model(IDS, jit=False).logits)
    assert np.isfinite(output.loss)
    with pytest.raises(InputError, match="labels hold 77"):
        model(IDS, labels=np.array([77]))


def test_the_signature_is_that_of_forward() -> None:
    parameters = inspect.signature(load()).parameters
    forward = list(inspect.signature(FlaxDistilBertForMaskedLM.forward).parameters)[1:]
    assert list(parameters) == [*forward, "params", "dropout_rng", "train", "jit"]


def test_without_what_is_fast_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load()
    expected = model(IDS).logits
    monkeypatch.setenv(FAST_SWITCH, "0")
    assert programs(lambda: close(model(IDS).logits, expected)) == 0


@pytest.mark.usefixtures("fast_and_plain")
@pytest.mark.parametrize("head", [head for head in golden.HEADS if head != "ForMultipleChoice"])
def test_every_model_takes_the_inputs_of_packed_rows_and_a_layout(head: str) -> None:
    model = getattr(distilbert_flax, f"FlaxDistilBert{head}").from_pretrained(MICRO / head / "pt")
    packed = pack([[1, 2, 3], [4, 5]], 6)
    inputs = packed.inputs
    layout = padded_layout(None, packed.segment_ids, "auto")
    ids = {"input_ids": packed.input_ids, "num_segments": packed.num_segments}
    for one, other in zip(model(**inputs).to_tuple(), model(**ids, layout=layout).to_tuple(), strict=True):
        assert close(one, other)


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
    assert_bad_input_is_refused(model, IDS)
    with pytest.raises(InputError, match="give dropout_rng"):
        model(IDS, params=model.params, train=True)
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
