from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from distilbert_common.errors import ConfigError, InputError
from distilbert_common.initialization import sinusoidal_table
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
    assert close(again(IDS)[0], model(IDS)[0])
    model.compile(optimizer="adam")
    inputs = {"input_ids": np.repeat(IDS, 2, axis=0), "labels": np.repeat(IDS, 2, axis=0)}
    before = {id(v): values(v).copy() for v in model.trainable_weights}
    model.fit(keras_dataset(inputs), verbose=0)
    assert all((values(v) != before[id(v)]).any() for v in model.trainable_weights)


def keras_dataset(inputs: dict[str, np.ndarray]) -> object:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(inputs).batch(2)


@pytest.mark.parametrize("size", [45, 40, 30])
def test_vocabulary(size: int, tmp_path: Path) -> None:
    model, old = masked_lm(), masked_lm()
    embeddings = model.resize_token_embeddings(size)
    common = min(size, 40)
    assert embeddings is model.get_input_embeddings()
    assert embeddings.embeddings.shape == (size, 12)
    assert np.array_equal(
        values(embeddings.embeddings)[:common], values(old.get_input_embeddings().embeddings)[:common]
    )
    assert model.vocab_projector.kernel is None, "still tied"
    logits = model(IDS).logits
    assert logits.shape == (1, 8, size)
    assert close(logits[..., :common], old(IDS).logits[..., :common])
    model.save_pretrained(tmp_path / "saved")
    assert TFDistilBertForMaskedLM.from_pretrained(tmp_path / "saved").config.vocab_size == size
    assert_is_as_if_made_so(model, tmp_path)


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


@pytest.mark.parametrize("positions", [30, 9])
def test_learned_positions(positions: int, tmp_path: Path) -> None:
    model, old = masked_lm(), masked_lm()
    model.resize_position_embeddings(positions)
    assert np.array_equal(values(model(IDS).logits), values(old(IDS).logits))
    longest = np.ones((1, positions), int)
    assert np.isfinite(values(model(longest).logits)).all()
    with pytest.raises(InputError, match=f"the model has {positions} positions"):
        model(np.ones((1, positions + 1), int))
    model.save_pretrained(tmp_path / "saved")
    again = TFDistilBertForMaskedLM.from_pretrained(tmp_path / "saved")
    assert np.array_equal(values(again(longest).logits), values(model(longest).logits))


def test_sinusoidal_positions_go_on_as_the_sinusoid_and_stay_frozen() -> None:
    model = masked_lm(sinusoidal_pos_embds=True)
    stored = values(model.get_position_embeddings().embeddings)
    model.resize_position_embeddings(24)
    table = model.get_position_embeddings().embeddings
    assert np.array_equal(values(table)[:16], stored), "a stored table may have been trained"
    assert np.array_equal(values(table)[16:], sinusoidal_table(24, 12)[16:])
    assert not table.trainable
    assert np.isfinite(values(model(np.ones((1, 24), int)).logits)).all()


@pytest.mark.parametrize("size", [0, -3, 2.5, True])
def test_impossible_sizes(size: object) -> None:
    model = masked_lm()
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        model.resize_position_embeddings(size)
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        model.resize_token_embeddings(size)


def test_the_pad_token_stays_in_the_vocabulary() -> None:
    model = masked_lm(pad_token_id=5)
    with pytest.raises(ConfigError, match=r"'pad_token_id' is 5; it must be below vocab_size \(3\)"):
        model.resize_token_embeddings(3)
    assert model(IDS).logits.shape == (1, 8, 40), "as it was"


def test_set_input_embeddings() -> None:
    model = masked_lm()
    embeddings = keras.layers.Embedding(9, 12)
    embeddings.build()
    model.set_input_embeddings(embeddings)
    assert np.array_equal(values(model.get_input_embeddings().embeddings), values(embeddings.embeddings))
    assert model.config.vocab_size == 9
    assert model(np.array([[8, 1]])).logits.shape == (1, 2, 9)
    assert TFDistilBertForSequenceClassification(model.config).get_output_embeddings() is None


def test_pruned_heads_are_as_if_masked(tmp_path: Path) -> None:
    model, unpruned = masked_lm(), masked_lm()
    mask = np.array([[1.0, 0.0], [0.0, 1.0]])
    model.prune_heads({0: [1]})
    model.prune_heads({1: [0], 0: [1]})
    assert model.distilbert.transformer.layer[0].attention.q_lin.kernel.shape == (12, 6)
    assert model.config.pruned_heads == {0: [1], 1: [0]}
    assert unpruned.num_parameters() - model.num_parameters() == 2 * (4 * 6 * 12 + 3 * 6)
    expected = unpruned(IDS, head_mask=mask).logits
    assert close(model(IDS).logits, expected, 1e-5)
    assert close(model(IDS, head_mask=np.ones((2, 2)), output_attentions=True).logits, expected, 1e-5)
    model.save_pretrained(tmp_path / "saved")
    again = TFDistilBertForMaskedLM.from_pretrained(tmp_path / "saved")
    assert np.array_equal(values(again(IDS).logits), values(model(IDS).logits))
    assert again.config.pruned_heads == {0: [1], 1: [0]}
    assert_is_as_if_made_so(model, tmp_path)


@pytest.mark.parametrize(
    ("heads", "words"),
    [({5: [0]}, "no layer 5"), ({0: [2]}, "heads 0..1; asked to prune"), ({0: [0, 1]}, "leaves none in layer 0")],
)
def test_impossible_pruning(heads: dict[int, list[int]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        masked_lm().prune_heads(heads)
