"""Models of one's own on the body here: layers added, replaced, or a head of one's own."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tf_models import MICRO, array, difference

from distilbert_common.errors import CheckpointError, InputError
from distilbert_tf import (
    DistilBertConfig,
    TFDistilBertForSequenceClassification,
    TFDistilBertForTokenClassification,
    TFDistilBertMainLayer,
    TFDistilBertModel,
    TFDistilBertPreTrainedModel,
)

SOURCE = MICRO / "ForSequenceClassification" / "pt"
IDS = np.arange(1, 8)[None]


class WithExtraLayer(TFDistilBertForSequenceClassification):
    """One of the six with a layer more; its constructor takes the config alone."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.extra = keras.layers.Dense(3)

    def call(self, input_ids: Any = None, attention_mask: Any = None, training: bool = False) -> Any:
        return self.extra(super().call(input_ids, attention_mask, training=training, return_dict=True).logits)


class WithOwnHead(TFDistilBertPreTrainedModel):
    """The documented way to build a head."""

    def __init__(self, config: DistilBertConfig, *inputs: Any, **kwargs: Any) -> None:
        super().__init__(config, *inputs, **kwargs)
        self.distilbert = TFDistilBertMainLayer(config, name="distilbert")
        self.top = [keras.layers.Dense(5, activation="relu"), keras.layers.Dense(4)]

    def call(self, input_ids: Any = None, attention_mask: Any = None, training: bool = False) -> Any:
        x = self.distilbert(input_ids, attention_mask=attention_mask, training=training)[0][:, 0]
        return self.top[1](self.top[0](x))


class OnBareModel(TFDistilBertPreTrainedModel):
    """A head on one of the six, where most programs take that instead of the layer inside."""

    def __init__(self, config: DistilBertConfig) -> None:
        super().__init__(config)
        self.distilbert = TFDistilBertModel(config)
        self.top = keras.layers.Dense(4)

    def call(self, input_ids: Any = None, attention_mask: Any = None, training: bool = False) -> Any:
        return self.top(self.distilbert(input_ids, attention_mask, training=training).last_hidden_state[:, 0])


OWN = {
    WithExtraLayer: ("extra.bias", "extra.kernel"),
    WithOwnHead: ("top.0.bias", "top.0.kernel", "top.1.bias", "top.1.kernel"),
    OnBareModel: ("top.bias", "top.kernel"),
}


@pytest.mark.parametrize("options", [{}, {"safe_serialization": True}, {"format": "keras"}], ids=str)
@pytest.mark.parametrize("kind", OWN)
def test_all_layers_are_saved_loaded_and_reported(kind: Any, options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=f"{OWN[kind][0]}, {OWN[kind][1]}"):
        model = kind.from_pretrained(SOURCE)
    assert model.load_report.new_extras == OWN[kind]
    expected = model(IDS)
    model.save_pretrained(tmp_path, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = kind.from_pretrained(tmp_path)
    assert again.load_report.extras == OWN[kind]
    assert difference(again(IDS), expected) == 0


@pytest.mark.parametrize("kind", OWN)
def test_keras_saves_loads_and_trains_them(kind: Any, tmp_path: Path) -> None:
    model = kind(TFDistilBertForSequenceClassification.from_pretrained(SOURCE).config)
    model.compile("sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.predict(IDS, verbose=0)
    model.fit(IDS, np.array([1]), verbose=0)
    expected = model(IDS)
    assert difference(expected, before) > 0
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", custom_objects={kind.__name__: kind})
    assert difference(again(IDS), expected) == 0


def test_a_replaced_classifier(tmp_path: Path) -> None:
    model = TFDistilBertForSequenceClassification.from_pretrained(SOURCE)
    model(IDS)
    model.classifier = keras.Sequential([keras.layers.Dense(6, activation="relu"), keras.layers.Dense(4)])
    assert model(IDS).logits.shape == (1, 4)
    assert difference(model(IDS).logits, model(IDS, jit=False).logits) < 1e-6
    assert model.num_parameters() == sum(array(v).size for _, v in model.named_variables()), "the first one is gone"
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"4 unexpected: classifier\.0\.bias"):
        TFDistilBertForSequenceClassification.from_pretrained(tmp_path)


def test_a_new_layer_has_weights_of_its_own() -> None:
    for _ in range(2):
        model = TFDistilBertForSequenceClassification.from_pretrained(SOURCE)
        model.classifier = keras.layers.Dense(5)
        logits = model(IDS).logits
        assert model.classifier.built
        assert difference(logits, model(IDS, jit=False).logits) == 0
        assert difference(logits, model(IDS).logits) < 1e-6


def functional() -> keras.Model:
    inputs = keras.Input((None, 12))
    x = keras.layers.Dense(12, activation="relu")(keras.layers.MultiHeadAttention(2, 6)(inputs, inputs))
    return keras.Model(inputs, keras.layers.Dense(3)(x))


MIXING = {
    "convolution": lambda: keras.layers.Conv1D(3, 3, padding="same"),
    "recurrence": lambda: keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True)),
    "functional": functional,
    "norm over the sequence": lambda: keras.layers.LayerNormalization(axis=1),
}


@pytest.mark.parametrize("make", MIXING.values(), ids=MIXING)
def test_a_layer_that_sees_other_tokens_sees_padding_as_it_is(make: Any) -> None:
    model = TFDistilBertForTokenClassification.from_pretrained(MICRO / "ForTokenClassification" / "pt")
    model.classifier = make()
    inputs = {"input_ids": np.arange(1, 25).reshape(2, 12), "attention_mask": np.arange(12) < [[12], [2]]}
    expected = model(**inputs, jit=False).logits
    assert difference(model(**inputs).logits, expected) < 1e-5


class Scale(keras.layers.Layer):
    """A layer whose weights have no names, or one name."""

    def build(self, shape: Any) -> None:
        self.unnamed, self.second = self.add_weight(shape=(4,)), self.add_weight(shape=(4,))
        self.pair = [self.add_weight(shape=(4,), name="w"), self.add_weight(shape=(4,), name="w")]

    def call(self, x: Any) -> Any:
        return x * self.unnamed + self.second + self.pair[0] * self.pair[1]


class Nested(TFDistilBertForSequenceClassification):
    """Layers in lists of lists, in dicts, and in a functional model."""

    def __init__(self, config: DistilBertConfig, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        inputs = keras.Input((5,))
        self.blocks = [[keras.layers.Dense(4)], {"a": keras.layers.Dense(4)}]
        self.graph = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Dense(4)(inputs)))
        self.scale = Scale()

    def call(self, input_ids: Any = None, attention_mask: Any = None, training: bool = False) -> Any:
        x = self.graph(super().call(input_ids, attention_mask, training=training, return_dict=True).logits)
        return self.scale(self.blocks[1]["a"](self.blocks[0][0](x)))


def test_each_weight_has_a_name_of_its_own(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="12 not in the checkpoint"):
        model = Nested.from_pretrained(SOURCE)
    expected = model(IDS)
    names = {name for name, _ in model.named_variables()}
    assert names >= {"blocks.0.0.kernel", "blocks.1.a.bias", "graph.1.kernel", "graph.2.kernel"}
    assert names >= {"scale.unnamed", "scale.second", "scale.pair.0", "scale.pair.1"}
    model.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert difference(Nested.from_pretrained(tmp_path)(IDS), expected) == 0


def test_two_weights_of_one_name_are_refused(tmp_path: Path) -> None:
    class Hidden(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self._pair = [self.add_weight(shape=(12,), name="w"), self.add_weight(shape=(12,), name="w")]

        def call(self, x: Any) -> Any:
            return x + self._pair[0] + self._pair[1]

    model = TFDistilBertForSequenceClassification.from_pretrained(SOURCE)
    model.classifier = Hidden()
    model(IDS)
    with pytest.raises(InputError, match=r"two weights are called 'classifier\.w'"):
        model.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_classifier_of_another_size(tmp_path: Path) -> None:
    model = TFDistilBertForSequenceClassification.from_pretrained(SOURCE)
    model.classifier = keras.layers.Dense(7)
    assert np.isfinite(array(model(IDS, labels=np.array([6])).loss)), "its classes are those of the layer"
    model.save_pretrained(tmp_path)
    again = TFDistilBertForSequenceClassification.from_pretrained(tmp_path, num_labels=7)
    assert difference(again(IDS).logits, model(IDS).logits) == 0


def test_a_layer_of_a_block_is_replaced_and_called() -> None:
    model = TFDistilBertForSequenceClassification.from_pretrained(SOURCE)
    model(IDS)

    class Doubled(keras.layers.Dense):
        def call(self, inputs: Any) -> Any:
            return 2 * super().call(inputs)

    ffn = model.distilbert.transformer.layer[0].ffn
    doubled = Doubled(ffn.lin1.units)
    doubled.build((None, None, 12))
    doubled.set_weights(ffn.lin1.get_weights())
    before = model(IDS).logits
    ffn.lin1 = doubled
    assert difference(model(IDS).logits, before) > 1e-4
    assert difference(model(IDS).logits, model(IDS, jit=False).logits) < 1e-6


class WithAnyKeywords(TFDistilBertForSequenceClassification):
    """A call that passes on what it is given."""

    def __init__(self, config: DistilBertConfig, *inputs: Any, **kwargs: Any) -> None:
        super().__init__(config, *inputs, **kwargs)
        self.extra = keras.layers.Dense(3)

    def call(self, input_ids: Any = None, **kwargs: Any) -> Any:
        output = super().call(input_ids, **kwargs)
        self.trained = kwargs.get("training")
        return {**output, "logits": self.extra(output.logits)}


class WithAnyArguments(TFDistilBertForSequenceClassification):
    def call(self, *args: Any, **kwargs: Any) -> Any:
        return super().call(*args, **kwargs)


class WithInputsWhole(TFDistilBertPreTrainedModel):
    """A call as that of Keras' own models; what it takes beside the inputs may be anything."""

    def __init__(self, config: DistilBertConfig, *inputs: Any, **kwargs: Any) -> None:
        super().__init__(config, *inputs, **kwargs)
        self.distilbert = TFDistilBertModel(config, name="distilbert")
        self.top = keras.layers.Dense(3)

    def call(self, inputs: Any, training: bool = False, scale: float = 1.0) -> Any:
        return self.top(self.distilbert(inputs, training=training)[0][:, 0]) * scale


@pytest.mark.filterwarnings("ignore:.*not in the checkpoint")
@pytest.mark.parametrize("kind", [WithAnyKeywords, WithAnyArguments, WithInputsWhole])
def test_calls_take_their_arguments_in_any_form(kind: Any, tmp_path: Path) -> None:
    kind.from_pretrained(SOURCE).save_pretrained(tmp_path)
    model = kind.from_pretrained(tmp_path)
    assert str(model.load_report).startswith("all ")
    inputs = {"input_ids": IDS.repeat(2, 0), "attention_mask": np.array([[1] * 7, [1] * 4 + [0] * 3])}

    def logits(output: Any) -> Any:
        return output if kind is WithInputsWhole else output["logits"]

    expected = logits(model(inputs))
    assert difference(logits(model(inputs["input_ids"]))[:1], expected[:1]) <= 1e-6
    if kind is not WithInputsWhole:
        assert difference(logits(model(**inputs)), expected) <= 1e-6
        assert difference(logits(model(*inputs.values())), expected) <= 1e-6
    else:
        assert difference(model(inputs, scale=2.0), 2 * expected) <= 1e-6
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    model.fit(inputs, np.array([0, 1]), verbose=0)
    if kind is WithAnyKeywords:
        assert model.trained is True
    with pytest.raises(InputError, match="input_ids holds"):
        model({"input_ids": np.array([[10**6]])})
