"""Compiled calls: on TensorFlow, a call made outside a graph runs a graph that is traced once for all sizes.

A graph is kept for each set of arguments, their dtypes and ranks, whatever their sizes: as many as there are ways of
calling, and no more. What the model is made of is looked over at each call; where it has changed, all is traced anew.
On Keras' other backends calls run as they are; `predict`, `fit` and `evaluate` compile there.
"""

from __future__ import annotations

import weakref
from itertools import chain
from operator import is_
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras.src.backend.common import global_state  # there is no public way to ask who is calling

from distilbert_common.unpadding import Packing
from distilbert_tf.calling import FLAGS
from distilbert_tf.checks import is_concrete
from distilbert_tf.segments import count_segments
from distilbert_tf.unpadding import without_padding

if TYPE_CHECKING:
    from distilbert_tf.pretrained import TFDistilBertPreTrainedModel

Arguments = dict[str, Any]


class Programs:
    """The graphs of one model, and what the model was when they were traced.

    Attributes:
        parts: The attributes of every layer that is no model, as they are.
        values: What those attributes were, one layer after the other.
        models: The models among the layers, with the attributes that they had.
        blocks: The layers of the stack.
        config: The config's fields as they were.
        graphs: A graph for each way of calling.
    """

    def __init__(self, model: TFDistilBertPreTrainedModel) -> None:
        self.graphs: dict[Any, Any] = {}
        self.look_at(model)

    def look_at(self, model: TFDistilBertPreTrainedModel) -> None:
        """Remember what the model is."""
        layers = tuple(model._flatten_layers())
        self.parts = tuple(vars(layer) for layer in layers if not isinstance(layer, keras.Model))
        self.values = tuple(chain.from_iterable(part.values() for part in self.parts))
        self.models = tuple((layer, attributes(layer)) for layer in layers if isinstance(layer, keras.Model))
        self.blocks = tuple(model.base_model.transformer.layer)
        self.config = dict(vars(model.config))

    def hold(self, model: TFDistilBertPreTrainedModel) -> bool:
        """Whether the model still is what it was: the same attributes in each layer, the same config."""
        if vars(model.config) != self.config or tuple(model.base_model.transformer.layer) != self.blocks:
            return False
        if len(self.values) != sum(map(len, self.parts)):
            return False
        if not all(map(is_, chain.from_iterable(map(dict.values, self.parts)), self.values)):
            return False
        return all(same(attributes(layer), before) for layer, before in self.models)


def same(now: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether attributes are the objects that they were."""
    return len(now) == len(before) and all(map(is_, now.values(), before.values()))


def attributes(model: keras.Model) -> dict[str, Any]:
    """Return the attributes of a model that a computation can depend on: those that training leaves alone."""
    return {
        name: value for name, value in vars(model).items() if isinstance(value, keras.layers.Layer) or callable(value)
    }


def compiles(model: TFDistilBertPreTrainedModel, arguments: Arguments) -> bool:
    """Whether a call can be compiled: on TensorFlow, with values, outside graphs and other layers' calls."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    if not tf.executing_eagerly() or tf.config.functions_run_eagerly() or tf.distribute.has_strategy():
        return False
    tensors = {name: value for name, value in arguments.items() if hasattr(value, "shape")}
    if model.run_eagerly or not tensors.keys().isdisjoint(FLAGS):
        return False
    return all(map(is_concrete, tensors.values())) and is_outermost(model)


def is_outermost(model: TFDistilBertPreTrainedModel) -> bool:
    """Whether no other layer is calling the model: its training mode would be ours."""
    context = global_state.get_global_attribute("current_call_ctx")
    return context is None or context.entry_layer is model


def call(model: TFDistilBertPreTrainedModel, arguments: Arguments, unpad: bool) -> Any:
    """Run a model's call as a graph.

    Args:
        model: The model.
        arguments: The arguments of its `call` by name.
        unpad: Whether padding may be left out.
    """
    import tensorflow as tf

    given = without_padding(arguments, model.head, model.config) if unpad else arguments
    flags = {name: given[name] for name in FLAGS if name in given}
    if "segment_ids" in given and "labels" not in given and model.head == "ForSequenceClassification":
        flags["num_segments"] = count_segments(given["segment_ids"], None, flags.get("num_segments"))
    tensors = {name: as_tensors(value) for name, value in given.items() if name not in FLAGS}
    programs = programs_of(model)
    specs = {name: open_spec(name, value) for name, value in sorted(tensors.items())}
    key = (tuple(sorted(flags.items())), tuple(specs.items()))
    try:
        if key not in programs.graphs:
            programs.graphs[key] = trace(model, flags, specs)
            programs.look_at(model)  # the first call of a layer leaves its mark on it
        output = programs.graphs[key](tensors)
    except (ValueError, TypeError, tf.errors.OpError):  # a graph's error names no sizes; the plain call's does
        return keras.Model.__call__(model, **arguments)
    if not model.label_names or not set(model.label_names) <= given.keys() or np.isfinite(first(output)):
        return output
    return keras.Model.__call__(model, **arguments)  # a label that is no class is refused here


def programs_of(model: TFDistilBertPreTrainedModel) -> Programs:
    """Return the graphs of a model, none where it has changed."""
    programs: Programs | None = vars(model).get("_programs")
    if programs is None or not programs.hold(model):
        programs = vars(model)["_programs"] = Programs(model)  # past Keras, which would track and store it
    return programs


def as_tensors(value: Any) -> Any:
    """Turn an array, or those of a packing, into TensorFlow's tensors."""
    import tensorflow as tf

    return Packing(*map(tf.convert_to_tensor, value)) if isinstance(value, Packing) else tf.convert_to_tensor(value)


def open_spec(name: str, value: Any) -> Any:
    """Describe an argument with its sizes left open, but those of which the program is made."""
    import tensorflow as tf

    if isinstance(value, Packing):
        return Packing(*(tf.TensorSpec((None, None), x.dtype) for x in value))
    shape = value.shape if name == "head_mask" else [None] * value.ndim
    return tf.TensorSpec([*shape[:-1], value.shape[-1]] if name == "inputs_embeds" else shape, value.dtype)


def trace(model: TFDistilBertPreTrainedModel, flags: Arguments, specs: Arguments) -> Any:
    """Return the graph of one way of calling."""
    import tensorflow as tf

    caller = weakref.ref(model)  # the model keeps the graph: not the other way round

    @tf.function(input_signature=[specs], autograph=False)
    def run(tensors: Arguments) -> Any:
        return keras.Model.__call__(caller(), **tensors, **flags)

    return run.get_concrete_function()


def first(output: Any) -> Any:
    """Return the loss of an output with one."""
    return (output[0] if isinstance(output, tuple) else output.loss).numpy()
