from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from distilbert_tf import TFDistilBertForMaskedLM, TFDistilBertForSequenceClassification, TFDistilBertPreTrainedModel
from parity_tests.helpers import golden

MICRO = golden.GOLDEN / "micro"
IDS = np.arange(8)[None]


def masked_lm(**fields) -> TFDistilBertForMaskedLM:
    return TFDistilBertForMaskedLM.from_pretrained(MICRO / "ForMaskedLM" / "pt", **fields)


def values(x: object) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


def close(one: object, other: object, tolerance: float = 1e-6) -> bool:
    return np.allclose(values(one), values(other), atol=tolerance, rtol=0)


def assert_is_as_if_made_so(model: TFDistilBertPreTrainedModel, folder: Path) -> None:
    """Assert that nothing in the model still has its former size: built anew, saved by Keras, or trained."""
    made = type(model).from_config(model.get_config())
    shapes = [sorted((v.name, tuple(v.shape)) for v in each.weights) for each in (model, made)]
    assert shapes[0] == shapes[1]
    model.save(folder / "model.keras")
    again = keras.saving.load_model(folder / "model.keras")
    assert close(again(IDS, jit=False)[0], model(IDS)[0])
    model.compile(optimizer="adam", run_eagerly=True)
    inputs = {"input_ids": np.repeat(IDS, 2, axis=0), "labels": np.repeat(IDS, 2, axis=0)}
    before = {id(v): values(v).copy() for v in model.trainable_weights}
    model.fit(keras_dataset(inputs), verbose=0)
    assert all((values(v) != before[id(v)]).any() for v in model.trainable_weights)


def keras_dataset(inputs: dict[str, np.ndarray]) -> object:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(inputs).batch(2)


def test_new_rows() -> None:
    old = values(masked_lm().get_input_embeddings().embeddings)
    mean = values(masked_lm().resize_token_embeddings(50).embeddings)[40:]
    assert close(mean, np.broadcast_to(old.mean(0), (10, 12)))
    model = masked_lm()
    fresh = values(model.resize_token_embeddings(5000, mean_resizing=False).embeddings)[40:]
    assert fresh.std() == pytest.approx(0.02, rel=0.05)
    assert not values(model.vocab_projector.bias)[40:].any()
    assert masked_lm().resize_token_embeddings(pad_to_multiple_of=64).embeddings.shape == (64, 12)


def test_an_untied_projector_is_resized_too() -> None:
    model = TFDistilBertForMaskedLM(masked_lm().config.updated(tie_word_embeddings=False))
    kernel = values(model.vocab_projector.kernel)
    model.resize_token_embeddings(44)
    assert np.array_equal(values(model.vocab_projector.kernel)[:, :40], kernel)
    assert close(values(model.vocab_projector.kernel)[:, 43], kernel.mean(1))
    assert model(np.array([[43, 1]])).logits.shape == (1, 2, 44)


def test_set_input_embeddings() -> None:
    model = masked_lm()
    embeddings = keras.layers.Embedding(9, 12)
    embeddings.build()
    model.set_input_embeddings(embeddings)
    assert np.array_equal(values(model.get_input_embeddings().embeddings), values(embeddings.embeddings))
    assert model.config.vocab_size == 9
    assert model(np.array([[8, 1]])).logits.shape == (1, 2, 9)
    assert TFDistilBertForSequenceClassification(model.config).get_output_embeddings() is None


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.resize_token_embeddings(45),
        lambda model: model.resize_token_embeddings(40),
        lambda model: model.resize_token_embeddings(30),
        lambda model: [model.prune_heads({0: [1]}), model.prune_heads({1: [0], 0: [1]})],
    ],
    ids=["more words", "as many words", "fewer words", "pruned"],
)
def test_a_changed_model_is_as_if_made_so(change: Callable[[TFDistilBertForMaskedLM], object], tmp_path: Path) -> None:
    model = masked_lm()
    change(model)
    assert_is_as_if_made_so(model, tmp_path)
