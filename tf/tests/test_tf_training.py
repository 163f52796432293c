"""`compile`, `fit`, `evaluate` and `predict`: the models' own loss and Keras' losses, a step, metrics, callbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_models import CLASSES, TASKS, array, difference, load, small, unlabeled

from distilbert_common.errors import InputError
from distilbert_common.outputs import QuestionAnsweringModelOutput

RATES = {"dropout": 0.0, "attention_dropout": 0.0, "qa_dropout": 0.0, "seq_classif_dropout": 0.0}


def labels_of(model: Any, inputs: dict[str, np.ndarray]) -> Any:
    """Return the labels as Keras takes them beside the inputs: one array, or a tuple."""
    labels = tuple(inputs[name] for name in model.label_names)
    return labels if len(labels) > 1 else labels[0]


@pytest.mark.parametrize("head", TASKS)
def test_the_models_own_loss_with_labels_among_the_inputs_or_beside_them(head: str) -> None:
    model, inputs = load(head)
    expected = float(model(inputs).loss)
    model.compile(optimizer="adam", run_eagerly=True)
    assert model.test_on_batch(inputs) == pytest.approx(expected, rel=1e-6)
    assert model.test_on_batch(unlabeled(inputs), labels_of(model, inputs)) == pytest.approx(expected, rel=1e-6)
    named = {name: inputs[name] for name in model.label_names}
    assert model.test_on_batch(unlabeled(inputs), named) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(InputError, match="labels are missing"):
        model.test_on_batch(unlabeled(inputs))


@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("ForMaskedLM", {}),
        ("ForSequenceClassification", {"run_eagerly": True}),
        ("ForMultipleChoice", {"run_eagerly": True}),
        ("ForTokenClassification", {"jit_compile": True}),
        ("ForQuestionAnswering", {"run_eagerly": True}),
    ],
)
def test_fit_evaluate_and_predict(head: str, options: dict[str, bool]) -> None:
    _, inputs = load(head)
    keras.utils.set_random_seed(0)
    model = CLASSES[head](small(n_layers=1, num_labels=2 if head == "ForQuestionAnswering" else 5))
    model.compile(optimizer=keras.optimizers.SGD(0.5), **options)
    data = tf.data.Dataset.from_tensor_slices(inputs).batch(2)
    before = float(model(inputs).loss)
    history = model.fit(data.repeat(6), shuffle=False, verbose=0).history
    assert list(history) == ["loss"]
    assert model.evaluate(data, verbose=0) < before
    predicted = model.predict(data, verbose=0)
    assert "loss" not in predicted
    for name in model.logit_names:
        assert isinstance(predicted[name], np.ndarray)
        assert difference(predicted[name], model(inputs)[name]) < 1e-5
    assert isinstance(predicted, QuestionAnsweringModelOutput) == (head == "ForQuestionAnswering")


def test_fit_is_a_step_along_the_gradient_of_the_loss() -> None:
    model, inputs = load("ForSequenceClassification", **RATES)
    twin, _ = load("ForSequenceClassification", **RATES)
    with tf.GradientTape() as tape:
        loss = twin(inputs, training=True).loss
    gradients = tape.gradient(loss, twin.trainable_variables)
    keras.optimizers.SGD(0.5).apply(gradients, twin.trainable_variables)
    model.compile(keras.optimizers.SGD(0.5))
    model.fit(unlabeled(inputs), inputs["labels"], batch_size=len(inputs["labels"]), verbose=0)
    for mine, other in zip(model.trainable_variables, twin.trainable_variables, strict=True):
        assert difference(mine, other) < 1e-6, mine.path


def test_dropout_acts_in_fit() -> None:
    model, inputs = load("ForSequenceClassification", **(RATES | {"dropout": 0.5}))
    model.compile(keras.optimizers.SGD(0.0))
    without_dropout = model.evaluate(inputs, verbose=0)
    assert abs(model.fit(inputs, verbose=0).history["loss"][0] - without_dropout) > 1e-4
    assert model.evaluate(inputs, verbose=0) == without_dropout


def test_a_keras_loss_and_metrics_see_logits_and_labels() -> None:
    model, inputs = load("ForSequenceClassification")
    logits, labels = array(model(inputs).logits), inputs["labels"]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, metrics=["accuracy"], run_eagerly=True)
    for data in ((inputs,), (unlabeled(inputs), labels)):
        actual = model.evaluate(*data, verbose=0, return_dict=True)
        assert actual["loss"] == pytest.approx(float(loss(labels, logits)), rel=1e-5)
        assert actual["accuracy"] == pytest.approx((logits.argmax(-1) == labels).mean())
    assert model.fit(unlabeled(inputs), labels, sample_weight=np.zeros(len(labels)), verbose=0).history["loss"] == [0]


def test_a_keras_loss_for_each_of_two_logits() -> None:
    model, inputs = load("ForQuestionAnswering")
    inputs["start_positions"] = np.clip(inputs["start_positions"], 0, 6)
    inputs["end_positions"] = np.clip(inputs["end_positions"], 0, 6)
    expected = 2 * float(model(inputs).loss)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, metrics=[["accuracy"], ["accuracy"]], run_eagerly=True)
    actual = model.test_on_batch(unlabeled(inputs), labels_of(model, inputs))
    assert actual[0] == pytest.approx(expected, rel=1e-5)
    assert model.test_on_batch(inputs)[0] == pytest.approx(expected, rel=1e-5)


def test_tuples_can_be_fitted_and_predicted_too() -> None:
    model, inputs = load("ForSequenceClassification", return_dict=False)
    expected = float(model(inputs)[0])
    model.compile(run_eagerly=True)
    assert model.test_on_batch(inputs) == pytest.approx(expected, rel=1e-6)
    assert model.test_on_batch(unlabeled(inputs), inputs["labels"]) == pytest.approx(expected, rel=1e-6)
    (logits,) = model.predict(inputs, verbose=0)
    assert logits.shape == (2, 5)


def test_what_the_own_loss_cannot_do_is_refused() -> None:
    bare, inputs = load("Model")
    bare.compile(run_eagerly=True)
    with pytest.raises(InputError, match="TFDistilBertModel has no loss of its own"):
        bare.test_on_batch(inputs, np.zeros((2, 7, 12)))
    bare.compile(loss="mse", run_eagerly=True)
    hidden = array(bare(inputs)[0])
    assert bare.test_on_batch(inputs, hidden + 2) == pytest.approx(4, rel=1e-5)


def test_predict_names_what_is_wrong() -> None:
    model, _ = load("Model")
    with pytest.raises(InputError, match="17 tokens long"):
        model.predict(np.ones((1, 17), int), verbose=0)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_fit_in_half_precision(policy: str) -> None:
    model, inputs = load("ForTokenClassification", dtype=policy)
    inputs["attention_mask"][0] = 0
    model.compile(keras.optimizers.SGD(0.2), run_eagerly=True)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (policy == "mixed_float16")
    before = float(model(inputs).loss)
    assert np.isfinite(model.fit(inputs, epochs=5, verbose=0).history["loss"]).all()
    assert float(model(inputs).loss) < before
    assert all(np.isfinite(array(v)).all() for v in model.weights)


@pytest.mark.parametrize("metrics", [None, ["accuracy"]], ids=["no metric", "a metric"])
def test_masked_lm_training_computes_logits_where_a_metric_takes_them(metrics: list[str] | None) -> None:
    model, inputs = load("ForMaskedLM")
    expected, seen = float(model(inputs).loss), []
    result = model._as_output
    model._as_output = lambda output, return_dict: (
        seen.append(output.logits is not None),
        result(output, return_dict),
    )[1]
    model.compile(optimizer="adam", metrics=metrics, run_eagerly=True)
    actual = model.test_on_batch(inputs, return_dict=True)
    assert actual["loss"] == pytest.approx(expected, rel=1e-5)
    assert seen == [bool(metrics)]
    before = actual["loss"]
    assert model.train_on_batch(inputs, return_dict=True)["loss"] == pytest.approx(before, rel=0.2)
    assert model.test_on_batch(inputs, return_dict=True)["loss"] < before


def test_accumulated_gradients_are_those_of_a_larger_batch() -> None:
    _, inputs = load("ForSequenceClassification")
    models = []
    for batch_size, steps in ((1, 2), (2, None)):
        model, _ = load("ForSequenceClassification", **RATES)
        model.compile(keras.optimizers.SGD(0.5, gradient_accumulation_steps=steps), run_eagerly=True)
        model.fit(inputs, batch_size=batch_size, shuffle=False, verbose=0)
        models.append(model)
    assert max(difference(a, b) for a, b in zip(*(model.weights for model in models), strict=True)) < 1e-6


def test_compiling_anew_forgets_the_loss_and_the_metrics() -> None:
    model, inputs = load("ForSequenceClassification")
    model.compile(loss=keras.losses.CategoricalHinge(), metrics=["accuracy"], run_eagerly=True)
    model.compile(run_eagerly=True)
    assert model.test_on_batch(inputs) == pytest.approx(float(model(inputs).loss), rel=1e-6)


def test_callbacks_save_and_restore(tmp_path: Path) -> None:
    model, inputs = load("ForQuestionAnswering", **RATES)
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    inputs |= {name: np.clip(inputs[name], 0, 6) for name in model.label_names}
    loss, weights = {"start_logits": sparse, "end_logits": sparse}, {"end_logits": 0.5}
    model.compile("adam", loss=loss, loss_weights=weights, metrics=["accuracy"], run_eagerly=True)
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "best.weights.h5", save_weights_only=True),
        keras.callbacks.ModelCheckpoint(tmp_path / "last.keras"),
        keras.callbacks.EarlyStopping("loss", patience=3),
    ]
    model.fit(inputs, epochs=2, validation_data=inputs, callbacks=callbacks, verbose=0)
    expected = model.evaluate(inputs, verbose=0, return_dict=True)
    assert expected["loss"] == pytest.approx(expected["start_logits_loss"] + expected["end_logits_loss"] / 2, rel=1e-6)
    again = keras.models.load_model(tmp_path / "last.keras")
    assert again.evaluate(inputs, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-6)
    model.load_weights(tmp_path / "best.weights.h5")
    assert model.evaluate(inputs, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-6)


def test_a_subclass_has_its_own_loss_or_its_own_output() -> None:
    class Unsupervised(CLASSES["ForSequenceClassification"]):  # type: ignore[name-defined]
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore[no-untyped-def]
            return tf.reduce_mean(y_pred.logits**2)

    class Plain(CLASSES["ForSequenceClassification"]):  # type: ignore[name-defined]
        def call(self, input_ids=None, attention_mask=None, training=None):  # type: ignore[no-untyped-def]
            return super().call(input_ids, attention_mask, training=training).logits

    _, inputs = load("ForSequenceClassification")
    model = Unsupervised(small())
    model.compile("sgd", run_eagerly=True)
    expected = (array(model(unlabeled(inputs)).logits) ** 2).mean()
    assert model.test_on_batch(unlabeled(inputs)) == pytest.approx(expected, rel=1e-5)
    plain, labels = Plain(small(num_labels=5)), inputs["labels"]
    plain.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    logits = array(plain(unlabeled(inputs)))
    expected = float(keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits))
    assert plain.test_on_batch(unlabeled(inputs), labels) == pytest.approx(expected, rel=1e-5)
