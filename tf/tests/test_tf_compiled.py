from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import golden
from distilbert_cli.tolerances import MATRIX
from distilbert_common.errors import InputError
from distilbert_tf import TFDistilBertForMaskedLM, TFDistilBertForSequenceClassification, TFDistilBertModel, compiled
from distilbert_tf.compiled import trace
from packing_cases import padded, save_model, token_lists

MICRO = golden.GOLDEN / "micro"
IDS = np.arange(1, 8)[None]


def load(**fields) -> TFDistilBertForMaskedLM:
    return TFDistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt", **fields)


def graphs(model: keras.Model) -> int:
    """Return how many graphs a model has traced."""
    programs = vars(model).get("_programs")
    return 0 if programs is None else len(programs.graphs)


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
    model.compile("adam")
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
        lambda model: model.resize_token_embeddings(44),
        lambda model: model.resize_position_embeddings(20),
        lambda model: model.prune_heads({0: [1]}),
        lambda model: setattr(model.config, "output_hidden_states", True),
        lambda model: setattr(model, "activation", keras.ops.tanh),
        lambda model: setattr(model.distilbert.embeddings.LayerNorm, "epsilon", 0.5),
        lambda model: model.vocab_projector.bias.assign(np.ones(40)),
        lambda model: [v.assign(v * 0.5) for v in model.variables],
    ],
)
def test_changes_of_the_model_are_noticed(change: Callable[[TFDistilBertForMaskedLM], object]) -> None:
    model = load()
    model(IDS)
    change(model)
    found, expected = model(IDS), model(IDS, jit=False)
    assert found.keys() == expected.keys()
    assert close(found.logits, expected.logits)


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
    found = []
    for jit in (True, False):
        with tf.GradientTape() as tape:
            loss = model(IDS, labels=IDS, training=True, jit=jit).loss
        found.append(tape.gradient(loss, model.trainable_weights))
    assert graphs(model) == 1
    for one, other in zip(*found, strict=True):
        assert close(one, other)


def test_dropout_draws_anew_at_each_call() -> None:
    model = load()
    first, second = (model(IDS, training=True).logits for _ in range(2))
    assert not close(first, second)
    assert graphs(model) == 1


def test_errors_are_those_of_a_plain_call() -> None:
    model = load()
    with pytest.raises(InputError, match="input_ids holds 40"):
        model(np.array([[40]]))
    with pytest.raises(InputError, match="labels hold 77"):
        model(IDS, labels=np.full_like(IDS, 77))
    with pytest.raises(InputError, match=r"attention_mask has shape \(1, 2, 2\)"):
        model(IDS, np.ones((1, 2, 2)))
    with pytest.raises(TypeError, match="token_types"):
        model(IDS, token_types=None)


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


def test_a_model_and_its_graphs_are_forgotten_together() -> None:
    import gc
    import weakref

    model = load()
    model(IDS)
    kept = weakref.ref(model.vocab_transform)
    del model
    gc.collect()
    assert kept() is None


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
