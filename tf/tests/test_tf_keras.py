"""What Keras does with whole models: composing, `save` to .keras, SavedModel and LiteRT."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tf_models import array, difference, load, same_weights, small, unlabeled

from distilbert_tf import TFDistilBertModel
from distilbert_tf.layers import Projector
from distilbert_tf.modeling import Embeddings, TransformerBlock
from parity_tests.helpers import golden


def composed(model: TFDistilBertModel) -> keras.Model:
    """Return a functional model of ids and mask with a layer on top."""
    ids = keras.Input((None,), dtype="int32", name="input_ids")
    mask = keras.Input((None,), dtype="int32", name="attention_mask")
    encoded = model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    assert encoded.last_hidden_state.shape == (None, None, 12)
    top = keras.layers.Dense(3)(encoded.last_hidden_state[:, 0] + encoded.hidden_states[0][:, 0])
    return keras.Model([ids, mask], top)


def test_functional_composition(tmp_path: Path) -> None:
    bare, inputs = load("Model")
    model = composed(bare)
    ids, mask = (inputs[name].astype(np.int32) for name in ("input_ids", "attention_mask"))
    encoded = bare(inputs, output_hidden_states=True)
    first = array(encoded.last_hidden_state)[:, 0] + array(encoded.hidden_states[0])[:, 0]
    assert np.allclose(array(model([ids, mask])), first @ array(model.layers[-1].kernel), atol=1e-5)
    model.compile("sgd", "mse")
    model.fit([ids, mask], np.zeros((2, 3)), verbose=0)
    model.save(tmp_path / "composed.keras")
    again = keras.models.load_model(tmp_path / "composed.keras")
    assert difference(again([ids, mask]), model([ids, mask])) == 0
    with pytest.raises(ValueError, match="17 tokens long"):
        model([np.ones((1, 17), np.int32), np.ones((1, 17), np.int32)])


@pytest.mark.parametrize("style", ["dict", "list", "positional"])
def test_functional_calling_styles(style: str) -> None:
    bare, inputs = load("Model")
    ids, mask = (keras.Input((7,), dtype="int32", name=name) for name in ("input_ids", "attention_mask"))
    arguments = {
        "dict": ({"input_ids": ids, "attention_mask": mask},),
        "list": ([ids, mask],),
        "positional": (ids, mask),
    }
    model = keras.Model({"input_ids": ids, "attention_mask": mask}, bare(*arguments[style]).last_hidden_state)
    assert difference(model(inputs), bare(inputs, jit=False)[0]) == 0


@pytest.mark.parametrize("head", golden.HEADS)
def test_keras_files_need_no_custom_objects(tmp_path: Path, head: str) -> None:
    model, inputs = load(head, attn_implementation="eager", dtype="mixed_bfloat16")
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    assert again.config == model.config
    assert again.config.attn_implementation == "eager"
    assert again.dtype_policy == model.dtype_policy
    assert same_weights(again, model)
    assert difference(again(inputs)[0], model(inputs)[0]) == 0
    clone = type(model).from_config(model.get_config())
    assert clone.config == model.config
    assert not same_weights(clone, model)


@pytest.mark.parametrize("kind", [Embeddings, TransformerBlock, Projector])
def test_layers_are_serialized_with_their_config(kind: type[keras.layers.Layer]) -> None:
    layer = kind(small(sinusoidal_pos_embds=True, pad_token_id=3), dtype="mixed_bfloat16")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is kind
    assert again.get_config() == layer.get_config()


def test_the_parts_of_a_layer_are_serialized() -> None:
    embeddings = Embeddings(small(sinusoidal_pos_embds=True, pad_token_id=3))
    for part in (embeddings.word_embeddings, embeddings.position_embeddings, embeddings.LayerNorm):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(part))
        assert again.get_config() == part.get_config()
        assert again.trainable == part.trainable


def test_a_compiled_model_is_saved_with_its_optimizer(tmp_path: Path) -> None:
    model, inputs = load("ForTokenClassification")
    model.compile(keras.optimizers.Adam(1e-3), run_eagerly=True)
    model.train_on_batch(inputs)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert int(again.optimizer.iterations) == 1
    assert again.test_on_batch(inputs) == pytest.approx(model.test_on_batch(inputs))


@pytest.mark.parametrize("head", ["ForQuestionAnswering", "ForMultipleChoice"])
def test_saved_models_take_int32_and_int64(tmp_path: Path, head: str) -> None:
    model, inputs = load(head, output_attentions=True)
    inputs = unlabeled(inputs)
    model.export(tmp_path / "saved", verbose=False)
    stored = sum(path.stat().st_size for path in (tmp_path / "saved" / "variables").iterdir())
    assert stored < 1.5 * 4 * model.count_params()  # each variable once
    saved = tf.saved_model.load(tmp_path / "saved")
    assert set(saved.signatures) == {"serve", "serve_int64", "serving_default"}
    for name, signature in saved.signatures.items():
        ids = {key: tf.cast(x, "int64" if name == "serve_int64" else "int32") for key, x in inputs.items()}
        actual = signature(**ids)
        assert set(actual) == set(model.logit_names)
        assert all(difference(actual[key], model(inputs)[key]) < 2e-6 for key in actual)
        shorter = signature(**{key: x[:1, ..., :4] for key, x in ids.items()})
        assert all(len(values) == 1 for values in shorter.values()), "any batch and length"


def test_lite_models_need_no_tensorflow_operations(tmp_path: Path) -> None:
    model, _ = load("ForSequenceClassification")
    model.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
    assert b"Flex" not in (tmp_path / "model.tflite").read_bytes()
