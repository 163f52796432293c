"""Compiled calls: on TensorFlow, a call made outside a graph runs a graph that is traced once for all sizes.

A graph takes the variables with the inputs. It is kept for each structure of a model, set of arguments, their dtypes
and ranks, whatever the sizes: models of one structure share it, and it holds none of them. On Keras' other backends
calls run as they are; `predict`, `fit` and `evaluate` compile there.
"""

from __future__ import annotations

from typing import Any

import keras

# There is no public way to ask whether another layer is calling: its training mode, which Keras keeps there, would not
# reach the variables of a graph that is its own.
from keras.src.backend.common import global_state

from distilbert_common.constants import is_fast
from distilbert_tf.checks import is_concrete
from distilbert_tf.fast.snapshots import Snapshot, snapshot_of
from distilbert_tf.fast.unpadding import without_padding
from distilbert_tf.framework.calling import FLAGS
from distilbert_tf.layout import Unpadded
from distilbert_tf.segments import count_segments

__all__ = ["call", "compiles", "trace"]

Arguments = dict[str, Any]

OWN = ("distilbert_tf.modeling", "distilbert_tf.heads")
"""Where the calls are written that may be compiled."""


def compiles(model: Any, arguments: Arguments) -> bool:
    """Whether a call can be compiled: on TensorFlow, with values, outside graphs and other layers' calls.

    A class with a `call` of its own runs as it is written, and so does a call that is given a layout. So does a model
    with a layer of another kind than the models are made of; see `call`.
    """
    if not is_fast() or keras.backend.backend() != "tensorflow" or type(model).call.__module__ not in OWN:
        return False
    import tensorflow as tf

    if not tf.executing_eagerly() or tf.config.functions_run_eagerly() or tf.distribute.has_strategy():
        return False
    tensors = {name: value for name, value in arguments.items() if hasattr(value, "shape")}
    if model.run_eagerly or "layout" in arguments or not tensors.keys().isdisjoint(FLAGS):
        return False
    return all(map(is_concrete, tensors.values())) and is_outermost(model)


def is_outermost(model: keras.Model) -> bool:
    """Whether no other layer is calling the model: its training mode would be ours."""
    context = global_state.get_global_attribute("current_call_ctx")
    return context is None or context.entry_layer is model


def call(model: Any, arguments: Arguments) -> Any:
    """Run a model's call as a graph.

    Args:
        model: The model.
        arguments: The arguments of its `call` by name, which have been checked.
    """
    snapshot = snapshot_of(model)
    if not snapshot.is_built or snapshot.is_distributed or not snapshot.per_token:
        # a plain call makes weights that are not there yet, and has the sizes that a layer which mixes tokens asks for
        return keras.Model.__call__(model, **arguments)
    tensors, flags = graph_arguments(model, arguments)
    specs = {name: open_spec(name, value) for name, value in sorted(tensors.items())}
    key = (snapshot.structure, tuple(sorted(flags.items())), tuple(specs.items()))

    def make() -> Any:
        graph = trace(model, flags, specs, snapshot)
        snapshot.read(model)  # the first call of a layer leaves its mark on it
        return graph

    return snapshot.programs.get(key, make)(tensors, snapshot.values_of_variables)


def graph_arguments(model: Any, arguments: Arguments) -> tuple[Arguments, Arguments]:
    """Return the tensors that a graph takes, without padding where that is left out, and what it is traced for."""
    import tensorflow as tf

    flags = {name: value for name, value in arguments.items() if name in FLAGS}
    unpad = flags.pop("unpad", "auto")
    inputs = without_padding(model, arguments, unpad)
    if inputs is arguments and unpad is True:
        flags["unpad"] = True
    tensors = {
        name: Unpadded(*map(tf.convert_to_tensor, x)) if isinstance(x, Unpadded) else tf.convert_to_tensor(x)
        for name, x in inputs.items()
        if name not in FLAGS
    }
    num_segments = flags.pop("num_segments", None)
    counts = "segment_ids" in arguments and model.head == "ForSequenceClassification"
    if counts and (num_segments is not None or "labels" not in arguments):
        flags["num_segments"] = count_segments(arguments["segment_ids"], None, num_segments)
    return tensors, flags


def open_spec(name: str, value: Any) -> Any:
    """Describe an argument with its sizes left open, but those of which the program is made."""
    import tensorflow as tf

    if isinstance(value, Unpadded):
        return Unpadded(*(tf.TensorSpec((None, None), x.dtype) for x in value))
    shape = value.shape if name == "head_mask" else [None] * value.shape.rank
    return tf.TensorSpec([*shape[:-1], value.shape[-1]] if name == "inputs_embeds" else shape, value.dtype)


def trace(model: keras.Model, flags: Arguments, specs: Arguments, snapshot: Snapshot) -> Any:
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
