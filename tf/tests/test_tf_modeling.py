from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_models import CLASSES, MICRO, array, difference, load, small, unlabeled

from distilbert_common.errors import InputError
from distilbert_common.initialization import sinusoidal_table
from distilbert_tf import TFDistilBertForMaskedLM, TFDistilBertModel
from distilbert_tf.layers import normalize
from distilbert_tf.modeling import TransformerBlock
from parity_tests.helpers import golden


@pytest.fixture(scope="module")
def model() -> TFDistilBertModel:
    return load("Model")[0]


@pytest.fixture
def ids() -> np.ndarray:
    return golden.inputs(MICRO, "Model")["input_ids"]


def test_config_sets_the_defaults_of_outputs(ids: np.ndarray) -> None:
    model, _ = load("Model", output_hidden_states=True, output_attentions=True, return_dict=False)
    last, hidden_states, attentions = model(ids)
    assert len(hidden_states) == model.config.n_layers + 1
    assert len(attentions) == model.config.n_layers
    assert difference(last, hidden_states[-1]) == 0
    assert len(model(ids, output_hidden_states=False, output_attentions=False)) == 1


def test_calling_styles(model: TFDistilBertModel) -> None:
    inputs = golden.inputs(MICRO, "Model")
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    expected = model(input_ids=ids, attention_mask=mask)[0]
    styles: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((inputs,), {}),
        (({"input_ids": ids},), {"attention_mask": mask}),
        (([ids, mask],), {}),
        (((tf.constant(ids), tf.constant(mask, tf.int32)),), {}),
        ((ids, mask), {}),
        ((ids,), {"attention_mask": mask != 0, "training": False}),
    ]
    for args, kwargs in styles:
        assert difference(model(*args, **kwargs)[0], expected) == 0
    assert difference(model([ids])[0], model(ids)[0]) == 0
    before = dict(inputs)
    model(inputs)
    assert inputs.keys() == before.keys(), "the dict is not changed"


def test_labels_are_read_from_the_dict() -> None:
    model, inputs = load("ForTokenClassification")
    labels = inputs["labels"]
    assert float(model(inputs).loss) == float(model(unlabeled(inputs), labels=labels).loss)
    assert model(unlabeled(inputs)).loss is None
    model, inputs = load("ForQuestionAnswering")
    inputs.pop("end_positions")
    assert model(inputs).loss is None, "both positions, or no loss"


def test_embeddings_instead_of_ids(model: TFDistilBertModel, ids: np.ndarray) -> None:
    words = model.get_input_embeddings()(ids)
    assert difference(model(inputs_embeds=words)[0], model(ids)[0]) == 0
    assert difference(model({"inputs_embeds": array(words).astype(np.float64)})[0], model(ids)[0]) == 0


def test_position_ids(model: TFDistilBertModel, ids: np.ndarray) -> None:
    positions = np.arange(ids.shape[1])
    assert difference(model(ids, position_ids=positions[None])[0], model(ids)[0]) == 0
    backward = model(ids[:, ::-1].copy(), position_ids=positions[None, ::-1].copy())[0]
    assert difference(array(backward)[:, ::-1], model(ids)[0]) < 1e-5, "attention knows positions only by their ids"


def test_multiple_choice_flattens_positions_too() -> None:
    model, inputs = load("ForMultipleChoice")
    positions = np.broadcast_to(np.arange(inputs["input_ids"].shape[-1]), inputs["input_ids"].shape)
    assert difference(model(inputs, position_ids=positions).logits, model(inputs).logits) == 0
    words = model.get_input_embeddings()(inputs["input_ids"])
    embedded = model(inputs_embeds=words, attention_mask=inputs["attention_mask"])
    assert difference(embedded.logits, model(inputs).logits) == 0


def test_what_is_masked_does_not_matter(model: TFDistilBertModel, ids: np.ndarray) -> None:
    mask, other = np.ones_like(ids), ids.copy()
    mask[:, 5:], other[:, 5:] = 0, 7
    assert difference(model(ids, mask)[0][:, :5], model(other, mask)[0][:, :5]) == 0
    assert difference(model(ids, mask)[0][:, :5], model(ids[:, :5])[0]) < 2e-6


def test_a_four_axis_mask_equals_the_mask_it_spells_out(model: TFDistilBertModel, ids: np.ndarray) -> None:
    mask = np.ones_like(ids)
    mask[1:, 4:] = 0
    square = np.broadcast_to(mask[:, None, None, :], (*mask.shape[:1], 1, ids.shape[1], ids.shape[1]))
    assert difference(model(ids, square)[0], model(ids, mask)[0]) == 0


def test_head_mask(model: TFDistilBertModel, ids: np.ndarray) -> None:
    layers, heads = model.config.n_layers, model.config.n_heads
    plain = model(ids, output_attentions=True)
    assert difference(model(ids, head_mask=np.ones(heads), output_attentions=True)[0], plain[0]) == 0
    factors = np.ones((layers, heads))
    factors[0, 1] = 0
    masked = model(ids, head_mask=factors, output_attentions=True)
    assert not array(masked.attentions[0])[:, 1].any()
    assert difference(masked.attentions[0][:, 0], plain.attentions[0][:, 0]) == 0
    assert difference(masked[0], plain[0]) > 1e-3


SHORT = np.ones((1, 2), int)


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "words"),
    [
        ((), {}, InputError, "neither of input_ids and inputs_embeds"),
        (({},), {}, InputError, "neither of input_ids and inputs_embeds"),
        ((SHORT,), {"inputs_embeds": np.zeros((1, 2, 12))}, InputError, "both of"),
        ((np.array([[1, 40]]),), {}, InputError, r"holds 40, outside 0..39 \(vocab_size is 40\)"),
        ((tf.constant([[1, 40]]),), {}, InputError, r"holds 40, outside 0..39 \(vocab_size is 40\)"),
        ((np.array([[-1, 3]]),), {}, InputError, "holds -1, outside 0..39"),
        ((np.ones((1, 17), int),), {}, InputError, "17 tokens long, but the model has 16 positions"),
        ((), {"inputs_embeds": np.ones((1, 17, 12))}, InputError, "17 tokens long"),
        ((SHORT,), {"position_ids": np.array([[16, 0]])}, InputError, "position_ids holds 16"),
        ((SHORT,), {"token_types": None}, TypeError, "token_types"),
        (({"input_ids": SHORT, "token_types": SHORT},), {}, TypeError, "token_types"),
        (({"input_ids": SHORT}, SHORT), {}, TypeError, "arguments are given beside the dict"),
        (({"input_ids": SHORT},), {"input_ids": SHORT}, TypeError, "'input_ids' is given beside the dict"),
        (([[1, 2], [3, 4]],), {}, TypeError, "input_ids is a list; expected a tensor or an array"),
        ((SHORT, np.ones((1, 2, 2))), {}, InputError, r"attention_mask has shape \(1, 2, 2\)"),
    ],
)
def test_bad_input(
    model: TFDistilBertModel, args: tuple[Any, ...], kwargs: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        model(*args, **kwargs)


def test_multiple_choice_wants_three_axes() -> None:
    model, _ = load("ForMultipleChoice")
    with pytest.raises(InputError, match=r"shape \(2, 5\); expected \(batch, choices, seq\)"):
        model(np.ones((2, 5), int))


def test_the_config_given_is_not_changed() -> None:
    config = small()
    model = TFDistilBertModel(config)
    assert config.attn_implementation is None
    assert model.config is not config


def test_initial_values() -> None:
    keras.utils.set_random_seed(0)
    model = TFDistilBertForMaskedLM(
        small(vocab_size=2000, dim=64, hidden_dim=256, initializer_range=0.05, pad_token_id=3)
    )
    variables = dict(model.named_variables())
    for name, variable in variables.items():
        values = array(variable)
        if name.endswith("bias"):
            assert not values.any(), name
        elif "layer_norm" in name.lower() or "LayerNorm" in name:
            assert (values == 1).all(), name
        else:
            assert values.std() == pytest.approx(0.05, rel=0.1), name
            assert abs(values.mean()) < 0.005, name
            assert np.abs(values).max() > 0.05 * 2.5, "normal, not truncated at two deviations"
    words = array(variables["embeddings.word_embeddings.weight"])
    assert not words[3].any()
    assert words[0].any()
    kernels = [array(v) for name, v in variables.items() if name.endswith(("q_lin.weight", "k_lin.weight"))]
    assert all(difference(kernels[0], other) > 0 for other in kernels[1:]), "each weight draws its own values"


def test_sinusoidal_positions_are_the_frozen_table() -> None:
    model = TFDistilBertModel(small(sinusoidal_pos_embds=True))
    table = model.distilbert.embeddings.position_embeddings.embeddings
    assert not table.trainable
    assert np.array_equal(array(table), sinusoidal_table(16, 12))
    assert all(table is not v for v in model.trainable_variables)
    assert TFDistilBertModel(small()).distilbert.embeddings.position_embeddings.embeddings.trainable


def test_tying_follows_the_config() -> None:
    tied, untied = TFDistilBertForMaskedLM(small()), TFDistilBertForMaskedLM(small(tie_word_embeddings=False))
    assert tied.vocab_projector.kernel is None
    assert untied.num_parameters() - tied.num_parameters() == 40 * 12
    ids = np.array([[1, 2, 3]])
    before = tied(ids).logits
    tied.get_input_embeddings().embeddings.assign_add(np.eye(40, 12, dtype=np.float32))
    words = np.delete(array(tied(ids).logits) - array(before), [1, 2, 3], axis=-1)
    assert np.abs(words[..., :9]).min() > 0, "the projector follows the table"


def test_dropout_rates_are_those_of_the_config() -> None:
    model = CLASSES["ForSequenceClassification"](small(dropout=0.11, attention_dropout=0.22, seq_classif_dropout=0.33))
    block = model.distilbert.transformer.layer[1]
    assert model.dropout.rate == 0.33
    assert model.distilbert.embeddings.dropout.rate == block.ffn.dropout.rate == 0.11
    assert block.attention.dropout.rate == 0.22


@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_layer_norm_is_stable(mean: float) -> None:
    x = np.random.default_rng(0).normal(mean, 1, (64, 768)).astype(np.float32)
    layer = keras.layers.LayerNormalization(epsilon=1e-12)
    layer.build(x.shape)
    expected = (x - x.mean(-1, keepdims=True, dtype=float)) / x.std(-1, keepdims=True, dtype=float)
    # what rounding the mean to float32 costs: half a unit in its last place, 3e-5 at 1000; the formula with the mean
    # multiplied out costs several times that
    assert difference(normalize(layer, x), expected.astype(np.float32)) < max(2e-6, 1.2e-4 * mean / 1000)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"])
def test_half_precision_is_finite_with_an_all_padding_row(policy: str) -> None:
    for head in ("ForSequenceClassification", "ForMaskedLM"):
        model, inputs = load(head, dtype=policy)
        inputs["attention_mask"][0] = 0
        actual, expected = model(inputs, output_attentions=True), load(head)[0](inputs)
        dtype = keras.DTypePolicy(policy)
        assert {v.dtype for v in model.weights} == {dtype.variable_dtype}
        assert keras.backend.standardize_dtype(actual.logits.dtype) == dtype.compute_dtype
        assert actual.loss.dtype == tf.float32
        assert np.isfinite(array(actual.loss))
        assert difference(actual.logits, expected.logits) < 0.1  # bfloat16 has 8 bits, logits are of size 3
        assert difference(actual.attentions[0][0], np.full(actual.attentions[0][0].shape, 1 / 7)) < 1e-3
        assert difference(actual.logits, model(inputs).logits) < 0.05, "both attention paths"


@pytest.mark.parametrize("compiled", [False, True])
def test_gradient_checkpointing_gives_the_same_gradients_with_the_same_dropout(compiled: bool) -> None:
    plain, inputs = load("ForTokenClassification", dropout=0.2, attention_dropout=0.2)
    saving, _ = load("ForTokenClassification", dropout=0.2, attention_dropout=0.2)
    saving.gradient_checkpointing_enable()
    for one, other in zip(saving.non_trainable_variables, plain.non_trainable_variables, strict=True):
        one.assign(other)  # the states of dropout
    inputs = {name: tf.constant(value) for name, value in inputs.items()}

    def gradients(model: keras.Model) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = model(inputs, training=True).loss
        return [tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_variables)]

    run = tf.function(gradients) if compiled else gradients
    first = run(plain)
    for mine, other in zip(run(saving), first, strict=True):
        assert difference(mine, other) < 1e-6
    assert difference(run(plain)[0], first[0]) > 1e-4, "dropout was active"


@pytest.mark.parametrize("jit_compile", [False, True])
def test_models_run_in_a_tf_function(jit_compile: bool) -> None:
    for head in ("Model", "ForMultipleChoice"):
        model, inputs = load(head)
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        inputs["attention_mask"][0] = 0
        actual = tf.function(model, jit_compile=jit_compile)(tensors, output_hidden_states=True)
        expected = model(tensors, output_hidden_states=True)
        assert type(actual) is type(expected)
        assert actual.keys() == expected.keys()
        for mine, other in zip(actual.hidden_states, expected.hidden_states, strict=True):
            assert difference(mine, other) < 5e-6  # XLA fuses, which rounds in other places


def test_an_id_outside_the_vocabulary_does_not_pass_unseen_in_compiled_code(model: TFDistilBertModel) -> None:
    compiled = tf.function(model, jit_compile=True)
    assert np.isnan(array(compiled(tf.constant([[1, 40], [1, 2]]))[0])[0]).all()
    too_long = tf.function(model, autograph=False)  # AutoGraph would wrap the error in its own
    with pytest.raises(InputError, match="17 tokens long"):
        too_long(tf.ones((1, 17), tf.int32))


def test_layers_stand_alone() -> None:
    block = TransformerBlock(small())
    x = np.random.default_rng(0).normal(size=(2, 3, 12)).astype(np.float32)
    out, probabilities = block(x, output_attentions=True)
    assert out.shape == (2, 3, 12)
    assert probabilities.shape == (2, 2, 3, 3)
    twin = TransformerBlock.from_config(block.get_config())
    twin.build((None, None, 12))
    twin.set_weights(block.get_weights())
    assert difference(twin(x)[0], out) == 0
