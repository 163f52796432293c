from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.core import freeze
from flax.traverse_util import flatten_dict

from distilbert_common import SequenceClassifierOutput
from distilbert_common.errors import InputError
from distilbert_flax import (
    DistilBertConfig,
    FlaxDistilBertForMaskedLM,
    FlaxDistilBertForSequenceClassification,
    FlaxDistilBertModel,
    FlaxDistilBertPreTrainedModel,
    Frozen,
)
from distilbert_flax.framework.variables import bind
from parity_tests.helpers import golden

SIZES = {"vocab_size": 40, "max_position_embeddings": 16, "n_layers": 1, "n_heads": 2, "dim": 12, "hidden_dim": 20}
RATES = {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.2}
INPUTS = golden.inputs(golden.GOLDEN / "micro", "ForSequenceClassification")
KEY = jax.random.key(0)
Model = FlaxDistilBertForSequenceClassification


@pytest.fixture
def model() -> Model:
    """One layer and one dropout, which XLA compiles fast."""
    return Model(DistilBertConfig(**SIZES, **RATES, num_labels=5, initializer_range=0.2))


def same(one: object, other: object) -> bool:
    """Whether two trees hold the same values."""
    return jax.tree.all(jax.tree.map(np.array_equal, one, other))


def close(one: object, other: object, tolerance: float = 1e-6) -> bool:
    return jax.tree.all(jax.tree.map(partial(np.allclose, atol=tolerance, rtol=0), one, other))


def test_params_are_the_models_own_weights(model: Model) -> None:
    params = model.params
    assert params["distilbert"]["transformer"]["layer"]["0"]["ffn"]["lin1"]["kernel"].shape == (12, 20)
    expected = model(**INPUTS)
    for params_tree in (params, freeze(params), jax.tree.map(np.asarray, params)):
        assert same(model(**INPUTS, params=params_tree).logits, expected.logits)
    zeros = jax.tree.map(jnp.zeros_like, params)
    assert not model(**INPUTS, params=zeros).logits.any()
    assert same(model(**INPUTS).logits, expected.logits), "the model's own stay as they are"


def test_params_can_be_set(model: Model) -> None:
    params = model.params
    model.params = jax.tree.map(lambda x: 2 * x, params)
    assert same(model.params, jax.tree.map(lambda x: 2 * x, params))
    assert same(model.classifier.bias[...], 2 * params["classifier"]["bias"])


def test_params_that_do_not_fit_are_named(model: Model) -> None:
    params = model.params
    flat = flatten_dict(params, sep="/")
    with pytest.raises(InputError, match="params/classifier/bias is unknown"):
        model(**INPUTS, params={"params": params})
    with pytest.raises(InputError, match=f"do not fit {Model.__name__}: pre_classifier/bias is missing; pre_class"):
        model.params = {name: value for name, value in params.items() if name != "pre_classifier"}
    with pytest.raises(InputError, match=r"classifier/bias is \(3,\), expected \(5,\)"):
        model(**INPUTS, params={**params, "classifier": {**params["classifier"], "bias": jnp.zeros(3)}})
    assert same(flatten_dict(model.params, sep="/"), flat)


def test_jit_grad_vmap_and_checkpoint_over_params(model: Model) -> None:
    params = model.params

    def loss(params: dict) -> jax.Array:
        return model(**INPUTS, params=params).loss

    expected, gradients = jax.jit(jax.value_and_grad(loss))(params)
    assert close(expected, model(**INPUTS).loss)
    assert jax.tree.structure(gradients) == jax.tree.structure(params)
    assert close(jax.jit(jax.grad(jax.checkpoint(loss)))(params), gradients)
    assert close(jax.jit(jax.vmap(loss))(jax.tree.map(lambda x: jnp.stack([x, x]), params)), [expected, expected])
    step = jax.tree.map(lambda value, gradient: value - 0.1 * gradient, params, gradients)
    assert loss(step) < expected


def test_gradients_of_each_example_by_vmap_over_inputs_and_keys(model: Model) -> None:
    params = model.params
    inputs = {name: jnp.asarray(value)[:, None] for name, value in INPUTS.items()}  # (batch, 1, ...)

    def loss(params: dict, example: dict, key: jax.Array) -> jax.Array:
        call = jax.checkpoint(lambda params, key: model(**example, params=params, dropout_rng=key, train=True))
        return call(params, key).loss

    keys = jax.random.split(KEY, 2)
    each = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0, 0)))(params, inputs, keys)
    one = jax.jit(jax.grad(loss))
    for place in range(2):
        example = {name: value[place] for name, value in inputs.items()}
        assert close(jax.tree.map(lambda x, place=place: x[place], each), one(params, example, keys[place]))


def test_outputs_are_trees(model: Model) -> None:
    @jax.jit
    def run(params: dict, inputs: dict) -> SequenceClassifierOutput:
        return model(**inputs, params=params, output_hidden_states=True)

    output = run(model.params, INPUTS)
    assert type(output) is SequenceClassifierOutput
    assert list(output) == ["loss", "logits", "hidden_states"]
    assert close(output.logits, model(**INPUTS).logits)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(output)]
    assert paths == [".loss", ".logits", *(f".hidden_states[{i}]" for i in range(2))]
    doubled = jax.tree.map(lambda x: 2 * x, output)
    assert same(doubled["logits"], 2 * output.logits)


@pytest.mark.parametrize("make_key", [jax.random.key, jax.random.PRNGKey])
def test_dropout_follows_the_key(model: Model, make_key: Callable[[int], jax.Array]) -> None:
    params, plain = model.params, model(**INPUTS).logits

    def logits(seed: int, **options) -> jax.Array:
        return model(**INPUTS, params=params, dropout_rng=make_key(seed), **options).logits

    assert same(logits(0, train=True), logits(0, train=True))
    assert not same(logits(0, train=True), logits(1, train=True))
    assert not same(logits(0, train=True), plain)
    for options in ({}, {"train": False}):
        assert same(logits(0, **options), plain), "a key alone drops nothing"
    with pytest.raises(InputError, match="give dropout_rng"):
        model(**INPUTS, params=params, train=True)


def test_each_dropout_has_its_own_mask() -> None:
    model = FlaxDistilBertModel(DistilBertConfig(**SIZES))
    dropouts = [m for _, m in nnx.iter_modules(bind(model, None, KEY, True)) if isinstance(m, nnx.Dropout)]
    assert len(dropouts) == 3
    masks = [dropout(jnp.ones(200)) for dropout in dropouts]
    assert len({np.asarray(mask).tobytes() for mask in masks}) == len(masks)
    assert all(m.deterministic for _, m in nnx.iter_modules(model) if isinstance(m, nnx.Dropout))


def test_train_without_params_draws_from_the_models_own_streams(model: Model) -> None:
    plain = model(**INPUTS).logits
    one, two = model(**INPUTS, train=True).logits, model(**INPUTS, train=True).logits
    assert not same(one, two)
    assert not same(one, plain)
    assert same(model(**INPUTS).logits, plain), "the mode was that call's"
    model.train()
    assert not same(model(**INPUTS).logits, model(**INPUTS).logits)
    assert same(model(**INPUTS, train=False).logits, plain)


def test_a_model_without_parameters(model: Model) -> None:
    full, params = model, model.params
    model = Model(full.config, _do_init=False)
    assert same(model(**INPUTS, params=params).logits, full(**INPUTS).logits)
    assert model(**INPUTS, params=params, dropout_rng=KEY, train=True).logits.shape == (2, 5)
    assert model.params_shape_tree == full.params_shape_tree
    for use in (lambda: model(**INPUTS), lambda: model.params, lambda: model(**INPUTS, train=True)):
        with pytest.raises(InputError, match=r"holds no parameters \(_do_init=False\)"):
            use()
    model.params = params
    assert same(model(**INPUTS).logits, full(**INPUTS).logits)


def test_init_weights_draws_what_is_missing(model: Model) -> None:
    params = model.params
    fresh = model.init_weights(KEY, (1, 1))
    assert jax.tree.structure(fresh) == jax.tree.structure(params)
    assert not same(fresh, params)
    assert same(model.params, params), "the model's own stay as they are"
    headless = {"distilbert": params["distilbert"]}
    filled = model.init_weights(KEY, params=headless)
    assert same(filled["distilbert"], params["distilbert"])
    assert same(filled["classifier"], fresh["classifier"])
    empty = Model(model.config, _do_init=False)
    assert same(empty.init_weights(KEY), fresh)
    shapes = jax.eval_shape(empty.init_weights, KEY)
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, params)


def test_casts(model: Model) -> None:
    params = model.params
    mask = jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)
    for cast, dtype in ((model.to_bf16, "bfloat16"), (model.to_fp16, "float16")):
        assert {x.dtype.name for x in jax.tree.leaves(cast(params))} == {dtype}
        partly = flatten_dict(cast(params, mask), sep="/")
        kinds = {"kernel": dtype}
        assert all(x.dtype == kinds.get(name.rpartition("/")[2], "float32") for name, x in partly.items())
    assert {x.dtype.name for x in jax.tree.leaves(model.to_fp32(model.to_bf16(params)))} == {"float32"}


def test_nnx_transformations(model: Model) -> None:
    expected = model(**INPUTS)
    assert close(nnx.jit(lambda model, inputs: model(**inputs))(model, INPUTS), expected)
    graphdef, params, other_state = nnx.split(model, nnx.Param, ...)
    assert same(nnx.merge(graphdef, params, other_state)(**INPUTS), expected)
    graphdef, state = nnx.split(model)
    run = jax.jit(lambda graphdef, state: nnx.merge(graphdef, state)(**INPUTS), static_argnums=0)
    assert close(run(graphdef, state), expected), "a graphdef can be hashed"
    loss, gradients = nnx.jit(nnx.value_and_grad(lambda model: model(**INPUTS).loss))(model)
    assert np.isclose(loss, expected.loss, rtol=1e-6), "compiled and as it is: the last digit may differ"
    functional = flatten_dict(jax.jit(jax.grad(lambda p: model(**INPUTS, params=p).loss))(model.params))
    by_path = {tuple(map(str, path)): variable[...] for path, variable in nnx.to_flat_state(gradients)}
    assert close(by_path, functional)
    shapes = nnx.eval_shape(lambda: Model(model.config))
    assert shapes.params_shape_tree == model.params_shape_tree


def test_nnx_jit_moves_the_random_streams_on(model: Model) -> None:
    run = nnx.jit(lambda model, inputs: model(**inputs).logits)
    model.train()
    assert not same(run(model, INPUTS), run(model, INPUTS))


def test_training_with_params_and_optax(model: Model) -> None:
    optimizer = optax.adamw(1e-2)
    params = model.params

    @jax.jit
    def step(params: dict, state: optax.OptState, key: jax.Array) -> tuple[dict, optax.OptState, jax.Array]:
        def loss_of(params: dict) -> jax.Array:
            return model(**INPUTS, params=params, dropout_rng=key, train=True)[0]

        loss, gradients = jax.value_and_grad(loss_of)(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    before, state = model(**INPUTS).loss, optimizer.init(params)
    for key in jax.random.split(KEY, 20):
        params, state, _ = step(params, state, key)
    assert model(**INPUTS, params=params).loss < 0.5 * before
    assert model(**INPUTS).loss == before


def test_training_with_a_train_state(model: Model) -> None:
    from flax.training.train_state import TrainState

    state = TrainState.create(apply_fn=model.__call__, params=model.params, tx=optax.adam(1e-2))

    @jax.jit
    def step(state: TrainState, batch: dict, key: jax.Array) -> tuple[TrainState, jax.Array]:
        labels = batch.pop("labels")

        def loss_of(params: dict) -> jax.Array:
            logits = state.apply_fn(**batch, params=params, dropout_rng=key, train=True)[0]
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        loss, gradients = jax.value_and_grad(loss_of)(state.params)
        return state.apply_gradients(grads=gradients), loss

    before = model(**INPUTS).loss
    for key in jax.random.split(KEY, 20):
        state, _ = step(state, dict(INPUTS), key)
    assert model(**INPUTS, params=state.params).loss < 0.5 * before


def test_training_with_nnx(model: Model) -> None:
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model: Model, optimizer: nnx.Optimizer, inputs: dict) -> jax.Array:
        loss, gradients = nnx.value_and_grad(lambda model: model(**inputs).loss)(model)
        optimizer.update(model, gradients)
        return loss

    before = model(**INPUTS).loss
    model.train()
    for _ in range(20):
        step(model, optimizer, INPUTS)
    model.eval()
    assert model(**INPUTS).loss < 0.5 * before


def masked_lm(**fields) -> tuple[FlaxDistilBertForMaskedLM, dict[str, np.ndarray]]:
    model = FlaxDistilBertForMaskedLM(DistilBertConfig(**SIZES, **RATES, **fields))
    return model, golden.inputs(golden.GOLDEN / "micro", "ForMaskedLM")


def test_a_tied_table_is_one_parameter() -> None:
    model, inputs = masked_lm()
    gradients = nnx.jit(nnx.grad(lambda model: model(**inputs).loss))(model)
    assert "kernel" not in gradients["vocab_projector"]
    table = gradients["distilbert"]["embeddings"]["word_embeddings"]["embedding"][...]
    unused = np.setdiff1d(np.arange(40), inputs["input_ids"])
    assert np.abs(table[unused]).max() > 0, "words that are not looked up are projected"


def test_the_frozen_table_stays_as_it_is_in_both_styles() -> None:
    model, inputs = masked_lm(sinusoidal_pos_embds=True)
    params = model.params

    def table(params: dict) -> jax.Array:
        return params["distilbert"]["embeddings"]["position_embeddings"]["embedding"]

    gradients = jax.jit(jax.grad(lambda params: model(**inputs, params=params).loss))(params)
    assert not table(gradients).any()
    optimizer = optax.adamw(1e-2, mask=model.trainable_mask)
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    stepped = optax.apply_updates(params, updates)
    assert same(table(stepped), table(params))
    assert not same(stepped, params)

    by_path = nnx.jit(nnx.grad(lambda model: model(**inputs).loss))(model)
    assert "position_embeddings" not in by_path["distilbert"]["embeddings"]
    nnx.Optimizer(model, optax.adamw(1e-2), wrt=nnx.Param).update(model, by_path)
    assert isinstance(model.base_model.embeddings.position_embeddings.embedding, Frozen)
    assert same(table(model.params), table(params))
    assert not same(model.params, params)


def test_the_base_class_is_no_model() -> None:
    with pytest.raises(NotImplementedError, match="use the bare model or one with a head"):
        FlaxDistilBertPreTrainedModel().forward()
    assert issubclass(Model, FlaxDistilBertPreTrainedModel)
    assert Model.config_class is DistilBertConfig
