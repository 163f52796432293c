from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

from distilbert_common.errors import InputError
from distilbert_tf import TFDistilBertForMaskedLM, TFDistilBertForSequenceClassification, TFDistilBertModel
from distilbert_tf.fast import compiled
from distilbert_tf.fast.compiled import trace
from distilbert_tf.fast.programs import MAX_PROGRAMS, SHARED, Programs
from distilbert_tf.resizing import replace_layer
from parity_tests.helpers import golden
from parity_tests.helpers.compiled_calls import CONFIG_CHANGES, assert_bad_input_is_refused, assert_is_noticed
from parity_tests.helpers.packing_cases import padded, save_model, token_lists
from parity_tests.helpers.tolerances import MATRIX

MICRO = golden.GOLDEN / "micro"
IDS = np.arange(1, 8)[None]


def load(**fields) -> TFDistilBertForMaskedLM:
    return TFDistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt", **fields)


def graphs(model: keras.Model) -> int:
    """Return how many graphs a model has traced."""
    snapshot = vars(model).get("_snapshot")
    return 0 if snapshot is None else sum(key[0] == snapshot.structure for key in snapshot.programs.graphs)


@pytest.fixture(autouse=True)
def no_graphs() -> None:
    SHARED.graphs.clear()


def close(one: tf.Tensor, other: tf.Tensor) -> bool:
    return one.shape == other.shape and float(np.abs(one.numpy() - other.numpy()).max(initial=0)) <= MATRIX.value


def test_a_second_call_traces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, traced = load(), []
    monkeypatch.setattr(compiled, "trace", lambda *args: (traced.append(args), trace(*args))[1])
    model(IDS)
    assert len(traced) == 1
    model(IDS + 1)
    model(input_ids=IDS.repeat(3, axis=0)[:, :4])
    assert len(traced) == 1
    model.compile("sgd")
    model.fit({"input_ids": IDS, "labels": IDS}, verbose=0)
    model(IDS)
    assert len(traced) <= 2


def test_real_batches_of_any_size_trace_one_graph_for_each_way_of_calling(tmp_path: Path) -> None:
    model = TFDistilBertModel.from_pretrained(save_model(tmp_path, "Model"))
    lists, rng = token_lists(300), np.random.default_rng(0)
    batches = [padded([lists[i] for i in rng.integers(300, size=rng.integers(1, 13))]) for _ in range(30)]
    assert len({batch["input_ids"].shape for batch in batches}) > 20
    for batch in batches:
        model(**batch)
    assert graphs(model) == 2, "one for padded batches that are packed, one for those that are not"
    for batch in batches:
        model(**batch, unpad=False)
        model(batch)
        model(batch["input_ids"], batch["attention_mask"])
    assert graphs(model) == 2
    model(IDS)
    model(IDS, output_attentions=True)
    model(IDS, training=True)
    assert graphs(model) == 5
    model(IDS, jit=False)
    assert graphs(model) == 5


@pytest.mark.parametrize(
    "change",
    [
        *CONFIG_CHANGES,
        lambda model: setattr(model, "activation", keras.ops.tanh),
        lambda model: setattr(model.distilbert.embeddings.LayerNorm, "epsilon", 0.5),
        lambda model: model.vocab_projector.bias.assign(np.ones(40)),
        lambda model: [v.assign(v * 0.5) for v in model.variables],
    ],
)
def test_changes_of_the_model_are_noticed(change: Callable[[TFDistilBertForMaskedLM], object]) -> None:
    assert_is_noticed(change, load(), IDS)


def test_changes_for_training_are_noticed() -> None:
    model = load(dropout=0.5, attention_dropout=0.5)
    assert not close(model(IDS, training=True).logits, model(IDS).logits)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    assert close(model(IDS, training=True).logits, model(IDS).logits)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_are_those_of_a_plain_call(checkpointing: bool) -> None:
    model = load(dropout=0.0, attention_dropout=0.0)
    if checkpointing:
        model.gradient_checkpointing_enable()
    actual = []
    for jit in (True, False):
        with tf.GradientTape() as tape:
            loss = model(IDS, labels=IDS, training=True, jit=jit).loss
        actual.append(tape.gradient(loss, model.trainable_weights))
    assert graphs(model) == 1
    for one, other in zip(*actual, strict=True):
        assert close(one, other)


def test_dropout_draws_anew_at_each_call() -> None:
    model = load()
    first, second = (model(IDS, training=True).logits for _ in range(2))
    assert not close(first, second)
    assert graphs(model) == 1


def test_errors_are_those_of_a_plain_call() -> None:
    model = load()
    assert_bad_input_is_refused(model, IDS)
    with pytest.raises(InputError, match=r"attention_mask has shape \(1, 2, 2\)"):
        model(IDS, np.ones((1, 2, 2)))


def test_calls_within_a_graph_or_another_layer_go_into_that() -> None:
    model = TFDistilBertForSequenceClassification.from_pretrained(MICRO / "ForSequenceClassification" / "pt")
    plain = model(IDS).logits
    before = graphs(model)
    assert close(tf.function(lambda ids: model(ids).logits)(tf.constant(IDS)), plain)

    class Outer(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def call(self, ids: tf.Tensor) -> tf.Tensor:
            return self.inner(ids).logits

    outer = Outer()
    assert close(outer(IDS), plain)
    assert not close(outer(IDS, training=True), plain), "the outer layer's mode holds"
    assert graphs(model) == before
    model.compile(run_eagerly=True)
    assert close(model(IDS).logits, plain)
    assert graphs(model) == before


def trained(model: TFDistilBertForMaskedLM) -> None:
    model.compile("sgd")
    model.fit({"input_ids": IDS, "labels": IDS}, verbose=0)
    model(IDS)


def stepped(model: TFDistilBertForMaskedLM) -> None:
    with tf.GradientTape() as tape:
        loss = model(IDS, labels=IDS, training=True).loss
    tape.gradient(loss, model.trainable_weights)


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(
    "use",
    [
        lambda model: model(IDS),
        lambda model: model(IDS, jit=False),
        lambda model: model.predict(IDS, verbose=0),
        lambda model: model.resize_token_embeddings(44)(IDS),
        stepped,
        trained,
    ],
)
def test_nothing_keeps_a_model_that_was_used(
    use: Callable[[TFDistilBertForMaskedLM], object], checkpointing: bool
) -> None:
    """Its weights are what takes memory: TensorFlow's table of gradients must hold no graph that has seen them."""
    model, gradients = load(), len(ops.gradient_registry.list())
    if checkpointing:
        model.gradient_checkpointing_enable()
    use(model)
    references = [weakref.ref(model), *(weakref.ref(layer) for layer in model.layers)]
    handles = [weakref.ref(variable.value) for variable in model.weights]
    del model
    gc.collect()
    assert not [reference for reference in [*references, *handles] if reference() is not None]
    assert len(ops.gradient_registry.list()) - gradients <= 1, "the one gradient of all functions"


def test_models_of_one_structure_share_their_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []
    monkeypatch.setattr(compiled, "trace", lambda *args: (traced.append(args), trace(*args))[1])
    one, other = load(), load()
    other.vocab_projector.bias.assign_add(np.arange(40))
    assert close(one(IDS).logits + np.arange(40, dtype=np.float32), other(IDS).logits)
    stepped(one)
    stepped(other)
    assert len(traced) == 2
    pruned = load()
    pruned.prune_heads({0: [0]})
    assert close(pruned(IDS).logits, pruned(IDS, jit=False).logits)
    assert len(traced) == 3


def test_a_layer_put_in_anothers_place_is_told_from_the_first() -> None:
    """Its variables come last in Keras' order, and the graph takes them by the attributes that hold the layers."""
    model, other = load(), load()
    before = model(IDS).logits
    attention = other.distilbert.transformer.layer[0].attention
    query = attention.linear("q_lin", 12)
    query.build((None, None, 12))
    query.set_weights(attention.q_lin.get_weights())
    replace_layer(attention, "q_lin", query)
    assert close(other(IDS).logits, before)


def test_no_more_than_so_many_graphs_are_kept() -> None:
    programs = Programs(2)
    assert [programs.get(key, lambda key=key: key.upper()) for key in "abaca"] == list("ABACA")
    assert list(programs.graphs) == ["c", "a"]
    assert SHARED.size == MAX_PROGRAMS


def test_graphs_are_not_stored(tmp_path: Path) -> None:
    model = load()
    expected = model(IDS).logits
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert graphs(copied) == 0
        assert close(copied(IDS).logits, expected)
    model.save(tmp_path / "model.keras")
    assert close(keras.models.load_model(tmp_path / "model.keras")(IDS).logits, expected)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    ids = tf.constant(IDS, tf.int32)
    assert close(served.serve({"input_ids": ids, "attention_mask": tf.ones_like(ids)})["logits"], expected)
    assert close(model(IDS).logits, expected)


def test_a_flag_that_is_a_tensor_is_not_compiled() -> None:
    model = load()
    assert close(model(IDS, training=tf.constant(False)).logits, model(IDS).logits)
    assert graphs(model) == 1
