"""`fit` and `evaluate` with each form of inputs, labels, weights and losses that Keras documents, against NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_models import CLASSES, array, small

from distilbert_common.errors import InputError
from distilbert_tf import DistilBertTokenizerFast

TEXTS = ["Why hasn't my card been delivered?", "I am still waiting", "How do I track my card?", "My card is lost"]
TOKENIZER = DistilBertTokenizerFast.from_pretrained(Path(__file__).parents[2] / "demo" / "model")
RATES = {"dropout": 0.0, "attention_dropout": 0.0, "qa_dropout": 0.0, "seq_classif_dropout": 0.0}
CLASS_IDS, WEIGHTS = np.array([0, 2, 1, 1]), np.array([1.0, 0.0, 2.0, 0.5], "float32")
CLASS_WEIGHTS = {0: 3.0, 1: 0.5}  # and 1 for class 2
STARTS, ENDS = np.array([0, 3, 2, 1]), np.array([1, 4, 4, 2])
WORD_LABELS = [[1, 2, 0, 1], [0], [2, 2, 2, 1, 1], [1, 0]]


def padded(kind: str | None = "np") -> Any:
    return TOKENIZER(TEXTS, padding=True, return_tensors=kind)


def cross_entropy(logits: Any, labels: np.ndarray) -> np.ndarray:
    x = array(logits)
    x = x - x.max(-1, keepdims=True)
    return np.log(np.exp(x).sum(-1)) - np.take_along_axis(x, labels[..., None], -1)[..., 0]


def model_of(head: str) -> Any:
    keras.utils.set_random_seed(0)
    sizes = {"vocab_size": len(TOKENIZER), "n_layers": 1, "initializer_range": 0.4, **RATES}
    return CLASSES[head](small(num_labels=2 if head == "ForQuestionAnswering" else 3, **sizes))


CLASSIFIER, TAGGER, READER = map(
    model_of, ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
)
EACH = cross_entropy(CLASSIFIER(padded()).logits, CLASS_IDS)  # (batch,)
ANSWER = READER(padded(), jit=False)
START, END = cross_entropy(ANSWER.start_logits, STARTS), cross_entropy(ANSWER.end_logits, ENDS)  # (batch,) each
WORDS = np.full(padded()["input_ids"].shape, -100)  # (batch, seq)
for _row, _labels in zip(WORDS, WORD_LABELS, strict=True):
    _row[: len(_labels)] = _labels
EACH_WORD = np.where(WORDS >= 0, cross_entropy(TAGGER(padded()).logits, np.maximum(WORDS, 0)), 0)  # (batch, seq)


def compiled(model: Any, **options: Any) -> Any:
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True, **options)
    return model


def sparse() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Pairs(keras.utils.PyDataset):
    """Two batches of two texts, as lists and of different lengths."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Any, list[int]]:
        part = slice(2 * index, 2 * index + 2)
        return TOKENIZER(TEXTS[part], padding=True), CLASS_IDS[part].tolist()


def stream() -> Iterator[tuple[Any, Any]]:
    """Batches whose first two are of one length and the third of another, which Keras' own generators do not take."""
    for text, label in ((TEXTS[3], [1]), (TEXTS[3], [1]), (TEXTS[0], [0])):
        yield TOKENIZER([text], return_tensors="np"), label


@pytest.mark.parametrize("kind", [None, "np", "tf"])
def test_each_call_takes_what_a_tokenizer_returns(kind: str | None) -> None:
    model, logits = compiled(CLASSIFIER), array(CLASSIFIER(padded()).logits)
    assert model.evaluate(padded(kind), CLASS_IDS.tolist(), verbose=0) == pytest.approx(EACH.mean(), rel=1e-5)
    history = model.fit(padded(kind), CLASS_IDS, validation_data=(padded(kind), CLASS_IDS, WEIGHTS), verbose=0).history
    assert history["loss"] == [pytest.approx(EACH.mean(), rel=1e-5)]
    assert history["val_loss"] == [pytest.approx((EACH * WEIGHTS).mean(), rel=1e-5)]
    assert model.train_on_batch(padded(kind), CLASS_IDS) == pytest.approx(EACH.mean(), rel=1e-5)
    assert model.test_on_batch({**padded(kind), "labels": CLASS_IDS}) == pytest.approx(EACH.mean(), rel=1e-5)
    assert np.allclose(model.predict(padded(kind), batch_size=3, verbose=0).logits, logits, atol=1e-5)
    assert np.allclose(model.predict_on_batch(padded(kind)).logits, logits, atol=1e-5)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (lambda: Pairs(), EACH.mean()),
        (stream, (2 * EACH[3] + EACH[0]) / 3),
        (lambda: ({**x, "labels": np.array(y)} for x, y in stream()), (2 * EACH[3] + EACH[0]) / 3),
        (lambda: tf.data.Dataset.from_tensor_slices((padded("tf"), CLASS_IDS)).batch(2), EACH.mean()),
        (lambda: tf.data.Dataset.from_tensor_slices((dict(padded()), CLASS_IDS, WEIGHTS)).batch(4), EACH @ WEIGHTS / 4),
    ],
    ids=["PyDataset", "generator", "generator of dicts", "tf.data", "tf.data with weights"],
)
def test_streams_of_batches(data: Callable[[], Any], expected: float) -> None:
    assert compiled(CLASSIFIER).evaluate(data(), verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "weights"),
    [
        (CLASS_IDS, WEIGHTS),
        (CLASS_IDS[:, None], WEIGHTS[:, None]),
        (CLASS_IDS.astype("float32"), WEIGHTS.tolist()),
        ([CLASS_IDS], [WEIGHTS]),
        ({"labels": CLASS_IDS}, {"labels": WEIGHTS}),
        ({"logits": CLASS_IDS}, {"logits": WEIGHTS}),
        (None, WEIGHTS),
    ],
    ids=["array", "column", "float and list", "list of one", "by label", "by output", "among the inputs"],
)
def test_sample_and_class_weights_with_the_own_loss(labels: Any, weights: Any) -> None:
    inputs = padded() if labels is not None else {**padded(), "labels": CLASS_IDS}
    model = compiled(CLASSIFIER)
    history = model.fit(inputs, labels, sample_weight=weights, verbose=0).history
    assert history["loss"] == [pytest.approx((EACH * WEIGHTS).mean(), rel=1e-5)]
    history = model.fit(inputs, labels, class_weight=CLASS_WEIGHTS, verbose=0).history
    assert history["loss"] == [pytest.approx((EACH * [3, 1, 0.5, 0.5]).mean(), rel=1e-5)]
    batches = tf.data.Dataset.from_tensor_slices({**padded(), "labels": CLASS_IDS}).batch(4)
    history = model.fit(batches, class_weight={**CLASS_WEIGHTS, 2: 1.0}, verbose=0).history
    assert history["loss"] == [pytest.approx((EACH * [3, 1, 0.5, 0.5]).mean(), rel=1e-5)], "labels among the inputs"


@pytest.mark.parametrize(
    "labels",
    [WORDS, WORD_LABELS, [np.array(row) for row in WORD_LABELS], tf.ragged.constant(WORD_LABELS)],
    ids=["padded", "lists", "arrays", "ragged tensor"],
)
def test_labels_of_tokens_in_rows_of_any_length(labels: Any) -> None:
    model, count = compiled(TAGGER), sum(map(len, WORD_LABELS))
    assert model.evaluate(padded(), labels, verbose=0) == pytest.approx(EACH_WORD.sum() / count, rel=1e-5)
    assert model.evaluate({**padded(), "labels": labels}, verbose=0) == pytest.approx(EACH_WORD.sum() / count, rel=1e-5)
    by_row = (EACH_WORD * WEIGHTS[:, None]).sum() / count
    assert model.evaluate(padded(), labels, sample_weight=WEIGHTS, verbose=0) == pytest.approx(by_row, rel=1e-5)
    by_class = (EACH_WORD * np.select([WORDS == 0, WORDS == 1], [3, 0.5], 1)).sum() / count
    history = model.fit(padded(), labels, class_weight=CLASS_WEIGHTS, verbose=0).history
    assert history["loss"] == [pytest.approx(by_class, rel=1e-5)]


def test_weights_and_ragged_labels_of_tokens_in_tf_data() -> None:
    model, count = compiled(TAGGER), sum(map(len, WORD_LABELS))
    ragged = tf.data.Dataset.from_tensor_slices((dict(padded()), tf.ragged.constant(WORD_LABELS))).batch(4)
    assert model.evaluate(ragged, verbose=0) == pytest.approx(EACH_WORD.sum() / count, rel=1e-5)
    by_class = (EACH_WORD * np.select([WORDS == 0, WORDS == 1], [3, 0.5], 1)).sum() / count
    for data in ((dict(padded()), WORDS), ({**padded(), "labels": WORDS},)):
        batches = tf.data.Dataset.from_tensor_slices(data if len(data) > 1 else data[0]).batch(4)
        history = model.fit(batches, class_weight=CLASS_WEIGHTS, verbose=0).history
        assert history["loss"] == [pytest.approx(by_class, rel=1e-5)]
    each = np.arange(WORDS.size).reshape(WORDS.shape)  # (batch, seq): a weight for each token
    loss = model.evaluate(padded(), WORDS, sample_weight=each, verbose=0)
    assert loss == pytest.approx((EACH_WORD * each).sum() / count, rel=1e-5)


POSITIONS = {"start_positions": STARTS, "end_positions": ENDS}
PAIR = {"start_positions": WEIGHTS, "end_positions": WEIGHTS[::-1]}


@pytest.mark.parametrize(
    ("labels", "weights"),
    [
        (POSITIONS, PAIR),
        ((STARTS, ENDS), (WEIGHTS, WEIGHTS[::-1])),
        ([STARTS.tolist(), ENDS.tolist()], [WEIGHTS, WEIGHTS[::-1]]),
        ({"end_logits": ENDS, "start_logits": STARTS}, {"end_logits": WEIGHTS[::-1], "start_logits": WEIGHTS}),
        (None, PAIR),
    ],
    ids=["by label", "tuple", "lists", "by output", "among the inputs"],
)
def test_labels_and_weights_of_two_outputs(labels: Any, weights: Any) -> None:
    model, inputs = compiled(READER), padded() if labels is not None else {**padded(), **POSITIONS}
    assert model.evaluate(inputs, labels, verbose=0) == pytest.approx((START.mean() + END.mean()) / 2, rel=1e-5)
    same = ((START * WEIGHTS).mean() + (END * WEIGHTS).mean()) / 2
    assert model.evaluate(inputs, labels, sample_weight=WEIGHTS, verbose=0) == pytest.approx(same, rel=1e-5)
    each = ((START * WEIGHTS).mean() + (END * WEIGHTS[::-1]).mean()) / 2
    history = model.fit(inputs, labels, sample_weight=weights, verbose=0).history
    assert history["loss"] == [pytest.approx(each, rel=1e-5)]
    with pytest.raises(InputError, match="class_weight is for models with one output"):
        model.fit(inputs, labels, class_weight=CLASS_WEIGHTS, verbose=0)


RIGHT = {
    "start_logits_accuracy": (array(ANSWER.start_logits).argmax(-1) == STARTS).mean(),
    "end_logits_accuracy": (array(ANSWER.end_logits).argmax(-1) == ENDS).mean(),
}


@pytest.mark.parametrize(
    "loss",
    [
        sparse,
        lambda: [sparse(), sparse()],
        lambda: {"start_logits": sparse(), "end_logits": sparse()},
        lambda: {"end_positions": sparse(), "start_positions": sparse()},
    ],
    ids=["one for both", "list", "by output", "by label"],
)
def test_a_keras_loss_in_each_form_for_two_outputs(loss: Callable[[], Any]) -> None:
    model = compiled(READER, loss=loss(), loss_weights={"start_logits": 2.0, "end_logits": 0.5}, metrics=["accuracy"])
    expected = {
        "loss": 2 * START.mean() + END.mean() / 2,
        "start_logits_loss": START.mean(),
        "end_logits_loss": END.mean(),
    }
    for data in ((padded(), (STARTS, ENDS)), ({**padded(), **POSITIONS},)):
        assert model.evaluate(*data, verbose=0, return_dict=True) == pytest.approx(expected | RIGHT, rel=1e-5)
    weighted = model.evaluate(padded(), POSITIONS, sample_weight=PAIR, verbose=0, return_dict=True)
    assert weighted["end_logits_loss"] == pytest.approx((END * WEIGHTS[::-1]).mean(), rel=1e-5)


@pytest.mark.parametrize(
    "loss", [lambda: [sparse(), None], lambda: {"start_positions": sparse()}], ids=["list", "dict"]
)
@pytest.mark.parametrize("labels", [POSITIONS, {"start_positions": STARTS}, (STARTS,), STARTS], ids=str)
def test_a_loss_for_one_of_two_outputs(loss: Callable[[], Any], labels: Any) -> None:
    model = compiled(READER, loss=loss())
    assert model.evaluate(padded(), labels, verbose=0) == pytest.approx(START.mean(), rel=1e-5)


@pytest.mark.parametrize(
    "metrics",
    [
        "accuracy",
        ["accuracy"],
        [["accuracy"], ["accuracy"]],
        {"start_logits": "accuracy", "end_logits": ["accuracy"]},
        [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    ],
    ids=str,
)
def test_metrics_of_two_outputs_with_the_own_loss(metrics: Any) -> None:
    model, expected = compiled(READER, metrics=metrics), {"loss": (START.mean() + END.mean()) / 2, **RIGHT}
    for data in ((padded(), POSITIONS), ({**padded(), **POSITIONS},)):
        assert model.evaluate(*data, verbose=0, return_dict=True) == pytest.approx(expected, rel=1e-5)


def test_the_only_output_has_a_name_too() -> None:
    options = {"loss_weights": {"logits": 2.0}, "metrics": {"logits": "accuracy"}, "weighted_metrics": ["accuracy"]}
    model = compiled(CLASSIFIER, loss={"logits": sparse()}, **options)
    loss = model.evaluate(padded(), CLASS_IDS, sample_weight=WEIGHTS, verbose=0)[0]
    assert loss == pytest.approx(2 * (EACH * WEIGHTS).mean(), rel=1e-5)


def test_names_and_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"loss names 'start'; expected some of start_positions, end_positions"):
        compiled(READER, loss={"start": sparse()})
    with pytest.raises(InputError, match="loss has 3 entries; expected one for each of start_logits, end_logits"):
        compiled(READER, loss=[sparse()] * 3)
    with pytest.raises(InputError, match="rows of input_ids have different lengths"):
        compiled(CLASSIFIER).evaluate(TOKENIZER(TEXTS), CLASS_IDS, verbose=0)


@pytest.mark.parametrize("loss", ["auto", "passthrough", "auto_with_warning", CLASSIFIER.hf_compute_loss])
def test_the_own_loss_by_its_old_names_and_keras_2_order(loss: Any) -> None:
    CLASSIFIER.compile("sgd", loss, ["accuracy"], run_eagerly=None, steps_per_execution=None)
    loss, accuracy = CLASSIFIER.evaluate(padded(), CLASS_IDS, verbose=0)
    assert loss == pytest.approx(EACH.mean(), rel=1e-5)
    assert accuracy == (array(CLASSIFIER(padded()).logits).argmax(-1) == CLASS_IDS).mean()


def test_the_loss_of_each_example() -> None:
    assert np.allclose(CLASSIFIER.hf_compute_loss(CLASS_IDS, CLASSIFIER(padded()).logits), EACH, rtol=1e-5)
    loss = TAGGER.hf_compute_loss(WORDS, TAGGER(padded()).logits)
    assert np.allclose(loss, [EACH_WORD.sum() / (WORDS >= 0).sum()], rtol=1e-5)
    labels = {"start_position": STARTS, "end_position": ENDS}
    loss = READER.hf_compute_loss(labels, (ANSWER.start_logits, ANSWER.end_logits))
    assert np.allclose(loss, (START + END) / 2, rtol=1e-5)
