from __future__ import annotations

import copy
import pickle
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from flax.traverse_util import flatten_dict
from safetensors import safe_open

import distilbert_flax
from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_common.initialization import sinusoidal_table
from distilbert_flax import FlaxDistilBertForMaskedLM, FlaxDistilBertModel, Frozen
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"
SMALL = {"vocab_size": 40, "max_position_embeddings": 16, "n_layers": 2, "n_heads": 2, "dim": 12, "hidden_dim": 20}
CLASSES = {head: getattr(distilbert_flax, f"FlaxDistilBert{head}") for head in golden.HEADS}
LABELS = ("labels", "start_positions", "end_positions")


def small(**fields) -> DistilBertConfig:
    return DistilBertConfig(**{**SMALL, **fields})


def load(head: str, **kwargs) -> tuple[nnx.Module, dict[str, np.ndarray]]:
    """Return the micro model of a head in eval mode, and its golden inputs."""
    return CLASSES[head].from_pretrained(MICRO / head / "pt", **kwargs), golden.inputs(MICRO, head)


@cache
def loaded(head: str) -> nnx.Module:
    """Return a model that no test changes."""
    return load(head)[0]


def same(one: jax.Array, other: jax.Array) -> bool:
    return np.array_equal(one, other)


def close(one: jax.Array, other: jax.Array, tolerance: float) -> bool:
    return np.allclose(one, other, atol=tolerance, rtol=0)


@pytest.fixture
def model() -> FlaxDistilBertModel:
    return loaded("Model")


@pytest.fixture
def ids() -> np.ndarray:
    return golden.inputs(MICRO, "Model")["input_ids"]


@pytest.mark.parametrize("head", golden.HEADS)
def test_params_have_the_names_and_shapes_of_transformers(head: str) -> None:
    with safe_open(MICRO / head / "flax_safetensors" / "model.safetensors", "np") as file:
        stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    output = flatten_dict(loaded(head).params, sep=".")
    assert {name: value.shape for name, value in output.items()} == stored


@pytest.mark.parametrize("head", golden.HEADS)
def test_outputs_are_those_of_transformers(head: str) -> None:
    output = loaded(head)(**golden.inputs(MICRO, head))
    expected = golden.expected(MICRO, head, "f64")
    for name, value in output.items():
        assert close(value, expected[name], 2e-6), name  # float32 rounding through two layers, on values up to 5


def test_config_sets_the_defaults_of_outputs(ids: np.ndarray) -> None:
    model, _ = load("Model", output_hidden_states=True, output_attentions=True, return_dict=False)
    last, hidden_states, attentions = model(ids)
    assert len(hidden_states) == model.config.n_layers + 1
    assert len(attentions) == model.config.n_layers
    assert same(last, hidden_states[-1])
    assert len(model(ids, output_hidden_states=False, output_attentions=False)) == 1


def test_embeddings_instead_of_ids(model: FlaxDistilBertModel, ids: np.ndarray) -> None:
    words = model.get_input_embeddings()(ids)
    assert same(model(inputs_embeds=words, jit=False)[0], model(ids, jit=False)[0])


def test_position_ids(model: FlaxDistilBertModel, ids: np.ndarray) -> None:
    positions = np.arange(ids.shape[1])
    assert same(model(ids, position_ids=positions[None])[0], model(ids)[0])
    reversed_output = model(ids[:, ::-1], position_ids=positions[None, ::-1])[0]
    assert close(reversed_output[:, ::-1], model(ids)[0], 1e-5), "attention knows positions only by their ids"


def test_multiple_choice_flattens_positions_too() -> None:
    model, inputs = loaded("ForMultipleChoice"), golden.inputs(MICRO, "ForMultipleChoice")
    positions = np.broadcast_to(np.arange(inputs["input_ids"].shape[-1]), inputs["input_ids"].shape)
    expected = model(**inputs).logits
    assert same(model(**inputs, position_ids=positions).logits, expected)
    words = model.get_input_embeddings()(inputs["input_ids"])
    assert same(model(inputs_embeds=words, attention_mask=inputs["attention_mask"]).logits, expected)


def test_what_is_masked_does_not_matter(model: FlaxDistilBertModel, ids: np.ndarray) -> None:
    mask, other = np.ones_like(ids), ids.copy()
    mask[:, 5:], other[:, 5:] = 0, 7
    assert same(model(ids, mask)[0][:, :5], model(other, mask)[0][:, :5])
    assert close(model(ids, mask)[0][:, :5], model(ids[:, :5])[0], 2e-6)


def test_a_four_axis_mask_equals_the_mask_it_spells_out(model: FlaxDistilBertModel, ids: np.ndarray) -> None:
    mask = np.ones_like(ids)
    mask[1:, 4:] = 0
    square = np.broadcast_to(mask[:, None, None, :], (2, 1, 7, 7))
    assert same(model(ids, square, jit=False)[0], model(ids, mask, jit=False)[0])
    added = np.where(square, 0, -np.inf).astype(np.float32)
    assert close(model(ids, added)[0], model(ids, mask)[0], 2e-6)


def test_head_mask(model: FlaxDistilBertModel, ids: np.ndarray) -> None:
    plain = model(ids, output_attentions=True)
    assert same(model(ids, head_mask=np.ones(2), output_attentions=True)[0], plain[0])
    factors = np.ones((2, 2))
    factors[0, 1] = 0
    masked = model(ids, head_mask=factors, output_attentions=True)
    assert not masked.attentions[0][:, 1].any()
    assert same(masked.attentions[0][:, 0], plain.attentions[0][:, 0])
    assert not close(masked[0], plain[0], 1e-3)


def test_a_model_with_pruned_heads_is_as_if_they_were_masked(model: FlaxDistilBertModel, ids: np.ndarray) -> None:
    pruned = FlaxDistilBertModel(model.config.updated(pruned_heads={0: [1], 1: [0]}), _do_init=False)
    params = model.params
    for layer, columns in {"0": slice(0, 6), "1": slice(6, 12)}.items():
        attention = params["transformer"]["layer"][layer]["attention"]
        for name in ("q_lin", "k_lin", "v_lin"):
            attention[name] = {
                "kernel": attention[name]["kernel"][:, columns],
                "bias": attention[name]["bias"][columns],
            }
        attention["out_lin"]["kernel"] = attention["out_lin"]["kernel"][columns]
    factors = np.array([[1, 0], [0, 1]])
    expected = model(ids, head_mask=factors, jit=False)[0]
    assert close(pruned(ids, params=params)[0], expected, 2e-6)
    assert close(pruned(ids, params=params, head_mask=factors, jit=False)[0], expected, 2e-6)
    pruned.params = params
    assert isinstance(hash(nnx.graphdef(pruned)), int)
    assert close(nnx.jit(lambda model: model(ids)[0])(pruned), expected, 2e-6)


ONES = np.ones((1, 17), np.int64)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, InputError, "neither of input_ids and inputs_embeds"),
        ({"input_ids": ONES[:, :2], "inputs_embeds": np.zeros((1, 2, 12))}, InputError, "both of"),
        ({"input_ids": np.array([[1, 40]])}, InputError, r"holds 40, outside 0..39 \(vocab_size is 40\)"),
        ({"input_ids": jnp.array([[1, 40]])}, InputError, "holds 40, outside 0..39"),
        ({"input_ids": [[1, 40]]}, InputError, "holds 40, outside 0..39"),
        ({"input_ids": np.array([[-1, 3]])}, InputError, "holds -1, outside 0..39"),
        ({"input_ids": ONES}, InputError, "17 tokens long, but the model has 16 positions"),
        ({"inputs_embeds": np.ones((1, 17, 12))}, InputError, "17 tokens long"),
        ({"input_ids": np.array([[1]]), "position_ids": np.array([[16]])}, InputError, "position_ids holds 16"),
        ({"input_ids": ONES[:, :2], "token_types": None}, TypeError, "token_types"),
    ],
)  # fmt: skip
def test_bad_input(model: FlaxDistilBertModel, arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        model(**arguments)


def test_traced_code_refuses_what_shapes_tell_and_marks_other_bad_ids(model: FlaxDistilBertModel) -> None:
    encode = jax.jit(lambda ids: model(ids)[0])
    with pytest.raises(InputError, match="17 tokens long"):
        encode(ONES)
    output = encode(np.array([[1, 2], [1, 40], [-1, 2]]))
    assert jnp.isnan(output).all(axis=(1, 2)).tolist() == [False, True, True], "never another row's values"
    assert jnp.isfinite(output[0]).all()


def test_multiple_choice_wants_three_axes() -> None:
    with pytest.raises(InputError, match=r"shape \(2, 5\); expected \(batch, choices, seq\)"):
        loaded("ForMultipleChoice")(np.ones((2, 5), int))


def test_the_callers_config_stays_as_it_is() -> None:
    config = small()
    model = FlaxDistilBertForMaskedLM(config)
    model.config.output_attentions = True
    assert (config.attn_implementation, config.output_attentions) == (None, False)
    assert model.config is model.distilbert.config
    other = FlaxDistilBertForMaskedLM(model.config)
    assert other.config == model.config
    other.config.output_attentions = False
    assert model.config.output_attentions, "a model's config is its own, whosever it was made from"
    assert isinstance(model.config, DistilBertConfig)


def test_initial_values() -> None:
    config = small(vocab_size=2000, dim=64, hidden_dim=256, initializer_range=0.05, pad_token_id=3)
    model = FlaxDistilBertForMaskedLM(config, seed=1)
    for name, value in flatten_dict(model.params, sep="/").items():
        if name.endswith("bias"):
            assert not value.any(), name
        elif name.endswith("scale"):
            assert (value == 1).all(), name
        else:
            assert value.std() == pytest.approx(0.05, rel=0.1), name
            assert abs(value.mean()) < 0.005, name
    table = model.get_input_embeddings().embedding
    assert not table[3].any()
    assert table[0].any()
    kernels = [v for name, v in flatten_dict(model.params, sep="/").items() if name.endswith("_lin/kernel")]
    assert len({float(kernel[0, 0]) for kernel in kernels}) == len(kernels), "each drawn anew"


def test_the_seed_sets_the_initial_values() -> None:
    def first(**options) -> float:
        return float(FlaxDistilBertModel(small(), **options).get_input_embeddings().embedding[1, 0])

    assert first(seed=1) == first(seed=1) == first(rngs=nnx.Rngs(1))
    assert first(seed=1) != first(seed=2)


def test_sinusoidal_positions_are_the_frozen_table() -> None:
    model = FlaxDistilBertModel(small(sinusoidal_pos_embds=True))
    table = model.embeddings.position_embeddings.embedding
    assert isinstance(table, Frozen)
    assert same(table[...], sinusoidal_table(16, 12))
    assert table[0].tolist() == [0, 1] * 6
    assert model.num_parameters() - model.num_parameters(only_trainable=True) == 16 * 12
    assert isinstance(FlaxDistilBertModel(small()).embeddings.position_embeddings.embedding, nnx.Param)


def test_tying_follows_the_config() -> None:
    tied = FlaxDistilBertForMaskedLM(small())
    untied = FlaxDistilBertForMaskedLM(small(tie_word_embeddings=False))
    assert set(tied.params["vocab_projector"]) == {"bias"}
    assert untied.params["vocab_projector"]["kernel"].shape == (12, 40)
    assert untied.num_parameters() - tied.num_parameters() == 40 * 12
    ids = np.array([[1, 2]])
    before = tied(ids).logits
    tied.get_input_embeddings().embedding[...] = tied.get_input_embeddings().embedding[...].at[39].set(1.0)
    changed = np.flatnonzero((tied(ids).logits != before).any(axis=(0, 1)))
    assert changed.tolist() == [39], "the table that is looked up is the one that projects"


def test_the_pad_row_has_no_gradient_as_in_pytorch(model: FlaxDistilBertModel) -> None:
    ids = np.array([[5, 0, 6], [5, 6, 0]])
    gradients = nnx.grad(lambda embeddings: jnp.square(embeddings(ids)).sum())(model.embeddings)
    rows = np.flatnonzero(np.abs(gradients["word_embeddings"]["embedding"][...]).sum(axis=1))
    assert rows.tolist() == [5, 6]


def test_layer_norm_is_exact_far_from_zero(model: FlaxDistilBertModel) -> None:
    x = np.random.default_rng(0).normal(1000, 1, (3, 12)).astype(np.float32)
    norm = nnx.LayerNorm(12, epsilon=1e-12, rngs=nnx.Rngs(0))
    ours = model.embeddings.LayerNorm
    wide = x.astype(np.float64)
    scaled = (wide - wide.mean(-1, keepdims=True)) / wide.std(-1, keepdims=True)
    expected = scaled * np.asarray(ours.scale[...]) + np.asarray(ours.bias[...])
    assert close(ours(x), expected, 1e-3)  # one rounding of the mean, 6e-5, beside differences of 1
    assert not close(norm(x), scaled, 1e-2), "Flax's own default is off"


def test_dropout_rates_are_those_of_the_config() -> None:
    config = small(dropout=0.11, seq_classif_dropout=0.33, attention_dropout=0.22)
    model = distilbert_flax.FlaxDistilBertForSequenceClassification(config)
    modules = {".".join(map(str, path)): module for path, module in nnx.iter_modules(model)}
    assert {name: module.rate for name, module in modules.items() if isinstance(module, nnx.Dropout)} == {
        "distilbert.embeddings.dropout": 0.11,
        "distilbert.transformer.layer.0.attention.dropout": 0.22,
        "distilbert.transformer.layer.0.ffn.dropout": 0.11,
        "distilbert.transformer.layer.1.attention.dropout": 0.22,
        "distilbert.transformer.layer.1.ffn.dropout": 0.11,
        "dropout": 0.33,
    }


def test_models_can_be_pickled_and_copied(model: FlaxDistilBertModel, ids: np.ndarray) -> None:
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), jax.tree.map(lambda x: x, model)):
        assert same(twin(ids)[0], model(ids)[0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("flags", [{}, {"output_attentions": True}], ids=["fused", "eager"])
def test_half_precision_is_finite_with_an_all_padding_row(dtype: str, flags: dict) -> None:
    model, inputs = load("ForSequenceClassification", dtype=dtype)
    inputs["attention_mask"][0] = 0
    expected = loaded("ForSequenceClassification")(**inputs)

    @jax.jit
    def run(params: dict) -> tuple[tuple[jax.Array, jax.Array], dict]:
        def loss(params: dict) -> tuple[jax.Array, jax.Array]:
            output = model(**inputs, **flags, params=params)
            return output.loss, output.logits

        return jax.value_and_grad(loss, has_aux=True)(params)

    (_, logits), gradients = run(model.params)
    assert logits.dtype == dtype
    assert {value.dtype for value in jax.tree.leaves(model.params)} == {jnp.dtype("float32")}
    assert close(logits.astype(jnp.float32), expected.logits, 0.02)  # 8 bits of mantissa on logits of size 1
    assert all(jnp.isfinite(gradient).all() for gradient in jax.tree.leaves(gradients))


def test_gradient_checkpointing_gives_the_same_gradients(ids: np.ndarray) -> None:
    model = FlaxDistilBertModel(small(n_layers=1, dropout=0.0, attention_dropout=0.3, initializer_range=0.2))
    key = jax.random.key(0)

    def loss(params: dict) -> jax.Array:
        return jnp.square(model(ids, params=params, dropout_rng=key, train=True)[0]).mean()

    def computed_again() -> int:
        return str(jax.make_jaxpr(jax.grad(loss))(model.params)).count("remat")

    plain, activations = jax.jit(jax.grad(loss))(model.params), computed_again()
    model.gradient_checkpointing_enable()
    saving, blocks = jax.jit(jax.grad(lambda params: loss(params)))(model.params), computed_again()
    model.gradient_checkpointing_disable()
    assert blocks > activations == computed_again()
    for mine, other in zip(jax.tree.leaves(saving), jax.tree.leaves(plain), strict=True):
        assert close(mine, other, 1e-6)  # XLA fuses the two programs differently; gradients of size 1
