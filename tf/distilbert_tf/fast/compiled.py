"""Compiled calls: on TensorFlow, a call made outside a graph runs a graph that is traced once for all sizes.

A graph takes the variables with the inputs. It is kept for each structure of a model, set of arguments, their dtypes
and ranks, whatever the sizes: models of one structure share it, and it holds none of them. Of all graphs the
`MAX_PROGRAMS` last used are kept. What a model is made of is looked over at each call. On Keras' other backends calls
run as they are; `predict`, `fit` and `evaluate` compile there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import chain
from operator import is_
from threading import Lock
from typing import TYPE_CHECKING, Any

import keras
from keras.src.backend.common import global_state  # there is no public way to ask who is calling

from distilbert_common.unpadding import Packing
from distilbert_tf.checks import is_concrete
from distilbert_tf.fast.unpadding import without_padding
from distilbert_tf.framework.calling import FLAGS
from distilbert_tf.framework.structure import all_variables, is_per_token, structure, walk
from distilbert_tf.segments import count_segments

if TYPE_CHECKING:
    from distilbert_tf.pretrained import TFDistilBertPreTrainedModel

Arguments = dict[str, Any]

MAX_PROGRAMS = 32
"""How many graphs are kept for all models together; a model with layers of its own has as many for itself."""


class Programs:
    """Graphs by what they were traced for; the one that was not used for longest makes room.

    Args:
        size: How many are kept.
    """

    def __init__(self, size: int = MAX_PROGRAMS) -> None:
        self.size = size
        self.graphs: OrderedDict[Hashable, Any] = OrderedDict()
        self.lock = Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the graph of a key, made where there is none."""
        with self.lock:
            if key in self.graphs:
                self.graphs.move_to_end(key)
                return self.graphs[key]
        graph = make()  # which may take seconds, and may call models
        with self.lock:
            self.graphs[key] = graph
            if len(self.graphs) > self.size:
                self.graphs.popitem(last=False)
        return graph


SHARED = Programs()
"""The graphs of all models that are made of this package's and Keras' layers."""


class Snapshot:
    """What a model was when it was last looked over, and where its graphs are.

    Attributes:
        parts: The attributes of every layer that is no model, as they are.
        values: What those attributes were, one layer after the other.
        models: The models among the layers, with the attributes that they had.
        blocks: The layers of the stack.
        config: The config's fields as they were.
        variables: Keras' variables, in the order of `all_variables`.
        values_of_variables: TensorFlow's variables in them.
        is_built: Whether all layers have their weights.
        per_token: Whether all layers but attention treat each token by itself.
        structure: What models that share graphs have in common.
        programs: The graphs.
    """

    def __init__(self, model: TFDistilBertPreTrainedModel) -> None:
        self.programs = SHARED
        self.look_at(model)

    def look_at(self, model: TFDistilBertPreTrainedModel) -> None:
        """Remember what the model is."""
        layers = [layer for _, layer in walk(model)]
        self.parts = tuple(vars(layer) for layer in layers if not isinstance(layer, keras.Model))
        self.values = tuple(chain.from_iterable(part.values() for part in self.parts))
        self.models = tuple((layer, attributes(layer)) for layer in layers if isinstance(layer, keras.Model))
        self.blocks = tuple(model.base_model.transformer.layer)
        self.config = dict(vars(model.config))
        self.variables = all_variables(model)
        self.values_of_variables = [variable.value for variable in self.variables]
        self.is_built = all(layer.built for layer in layers)
        self.per_token = all(map(is_per_token, layers[1:]))
        self.structure = structure(model)
        if self.structure is None and self.programs is SHARED:
            self.programs = Programs()

    def holds(self, model: TFDistilBertPreTrainedModel) -> bool:
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
    """Whether a call can be compiled: on TensorFlow, with values, outside graphs and other layers' calls.

    A class with a `call` of its own runs as it is written.
    """
    if keras.backend.backend() != "tensorflow" or type(model).call.__module__ not in OWN:
        return False
    import tensorflow as tf

    if not tf.executing_eagerly() or tf.config.functions_run_eagerly() or tf.distribute.has_strategy():
        return False
    tensors = {name: value for name, value in arguments.items() if hasattr(value, "shape")}
    if model.run_eagerly or not tensors.keys().isdisjoint(FLAGS):
        return False
    return all(map(is_concrete, tensors.values())) and is_outermost(model)


OWN = ("distilbert_tf.modeling", "distilbert_tf.heads")
"""Where the calls are written that may be compiled."""


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

    snapshot = snapshot_of(model)
    if not snapshot.is_built:
        return keras.Model.__call__(model, **arguments)  # which makes the weights that are not there yet
    may_unpad = unpad and snapshot.per_token
    given = without_padding(arguments, model.head, model.config) if may_unpad else arguments
    flags = {name: given[name] for name in FLAGS if name in given}
    if "segment_ids" in given and "labels" not in given and model.head == "ForSequenceClassification":
        flags["num_segments"] = count_segments(given["segment_ids"], None, flags.get("num_segments"))
    tensors = {name: as_tensors(value) for name, value in given.items() if name not in FLAGS}
    specs = {name: open_spec(name, value) for name, value in sorted(tensors.items())}
    key = (snapshot.structure, tuple(sorted(flags.items())), tuple(specs.items()))

    def make() -> Any:
        graph = trace(model, flags, specs, snapshot)
        snapshot.look_at(model)  # the first call of a layer leaves its mark on it
        return graph

    try:
        return snapshot.programs.get(key, make)(tensors, snapshot.values_of_variables)
    except (ValueError, TypeError, tf.errors.OpError):  # a graph's error names no sizes; the plain call's does
        return keras.Model.__call__(model, **arguments)


def snapshot_of(model: TFDistilBertPreTrainedModel) -> Snapshot:
    """Return what the model is: as remembered, or looked over again where it has changed."""
    snapshot: Snapshot | None = vars(model).get("_snapshot")
    if snapshot is None or not snapshot.holds(model):
        snapshot = vars(model)["_snapshot"] = Snapshot(model)  # past Keras, which would track and store it
    return snapshot


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


def trace(model: TFDistilBertPreTrainedModel, flags: Arguments, specs: Arguments, snapshot: Snapshot) -> Any:
    """Return the graph of one way of calling: a function of the inputs and of TensorFlow's variables."""
    import tensorflow as tf

    source = [(model, snapshot.variables)]  # the graph's function may hold neither

    @tf.function(autograph=False)
    def run(tensors: Arguments, variables: list[Any]) -> Any:
        ((model, names),) = source
        with keras.StatelessScope(list(zip(names, variables, strict=True))) as scope:
            before = [scope.get_current_value(name) for name in names]
            output = keras.Model.__call__(model, **tensors, **flags)
        for name, variable, value in zip(names, variables, before, strict=True):
            if (after := scope.get_current_value(name)) is not value:  # the state of a dropout
                variable.assign(after)
        return output

    graph = run.get_concrete_function(specs, snapshot.values_of_variables)
    source.clear()
    return graph
