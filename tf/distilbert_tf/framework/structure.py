"""What a model is made of: its layers by the attributes that hold them, its variables in that order, its equals."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping
from types import FunctionType
from typing import Any

import keras

__all__ = ["all_variables", "children", "is_per_token", "named_variables", "structure", "walk"]

SHARED = ("keras", "distilbert_tf")
"""The packages whose layers compute the same where their type, config and attributes are the same."""


def held(name: str, value: Any, kind: type) -> Iterator[tuple[str, Any]]:
    """Yield the objects of a kind that an attribute holds, itself or in lists and dicts, each with its name there."""
    if isinstance(value, kind):
        yield name, value
    elif isinstance(value, (list, tuple, Mapping)):
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from held(f"{name}.{key}", part, kind)


def attributes(layer: keras.layers.Layer) -> dict[str, Any]:
    """Return a layer's attributes; on Keras' PyTorch backend it is a Module, which holds the layers in it apart."""
    values = vars(layer)
    return {**values, **values.get("_modules", {})}


def children(layer: keras.layers.Layer) -> Iterator[tuple[str, keras.layers.Layer]]:
    """Yield the layers that a layer holds, each with its name there, such as "ffn" or "layer.0".

    Those of a `Sequential`, and those that a model has in no attribute, as a functional one, have their numbers.
    """
    named: list[tuple[str, keras.layers.Layer]] = []
    if not isinstance(layer, keras.Sequential):
        for name, value in sorted(attributes(layer).items()):
            if isinstance(value, keras.layers.Layer) or not name.startswith("_"):  # those are Keras' own lists
                named += held(name, value, keras.layers.Layer)
    yield from named
    reached = {id(part) for _, part in named}
    if isinstance(layer, keras.Model):
        yield from ((str(i), part) for i, part in enumerate(layer.layers) if id(part) not in reached)


def walk(layer: keras.layers.Layer, path: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """Yield a layer and all in it, each once, with the path to it: "distilbert.transformer.layer.0.ffn"."""
    seen: set[int] = set()

    def below(path: str, layer: keras.layers.Layer) -> Iterator[tuple[str, keras.layers.Layer]]:
        if id(layer) in seen:
            return
        seen.add(id(layer))
        yield path, layer
        for name, part in children(layer):
            yield from below(f"{path}.{name}" if path else name, part)

    return below(path, layer)


def own_variables(layer: keras.layers.Layer) -> list[keras.Variable]:
    """Return the variables of a layer that are not those of a layer in it."""
    others = {id(v) for _, part in children(layer) for v in part.variables}
    return [v for v in layer.variables if id(v) not in others]


def named_variables(layer: keras.layers.Layer) -> list[tuple[str, keras.Variable]]:
    """Return the own variables of a layer with their names: of the attributes that hold them, or else Keras' names.

    Keras numbers variables that were given no name through all models.
    """
    names = {
        id(variable): name
        for attribute, value in attributes(layer).items()
        if not attribute.startswith("_")
        for name, variable in held(attribute, value, keras.Variable)
    }
    return [(names.get(id(variable), variable.name), variable) for variable in own_variables(layer)]


def all_variables(model: keras.Model) -> list[keras.Variable]:
    """Return all variables, each once: the same order for models of one structure."""
    return list({id(v): v for _, layer in walk(model) for v in own_variables(layer)}.values())


PER_TOKEN = (
    keras.layers.Activation,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.Embedding,
    keras.layers.Identity,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.Sequential,
)
"""Keras' layers that treat each token by itself, so that padding beside it changes nothing."""


def is_per_token(layer: keras.layers.Layer) -> bool:
    """Whether a layer sees one token at a time, or is of a class of this package, which heed the mask."""
    if type(layer) is keras.layers.LayerNormalization and layer.axis not in (-1, [-1]):
        return False
    return type(layer) in PER_TOKEN or type(layer).__module__.startswith("distilbert_tf.")


def structure(model: keras.Model) -> Hashable | None:
    """Return a value that is equal for models that compute the same with the same variables' values.

    None where that cannot be told: a layer or a function that others wrote may look at more than shows, and gradient
    checkpointing calls the model's own blocks again.
    """
    parts = [(path, layer, describe(layer)) for path, layer in walk(model)]
    if any(description is None for _, _, description in parts):
        return None
    specs = tuple((tuple(v.shape), v.dtype) for v in all_variables(model))
    return specs, tuple((path, type(layer), description) for path, layer, description in parts)


def describe(layer: keras.layers.Layer) -> Hashable | None:
    """Return what a layer's computation depends on beside its variables and parts, or None where that is unknown."""
    if type(layer).__module__.split(".")[0] not in SHARED or getattr(layer, "gradient_checkpointing", False):
        return None
    config = {name: value for name, value in layer.get_config().items() if name not in ("name", "seed")}
    plain = {
        name: value
        for name, value in vars(layer).items()
        if isinstance(value, (bool, int, float, str, FunctionType))
        and not (name.startswith("_") or name == "name" or hasattr(value, "__wrapped__"))  # Keras wraps build, quantize
    }
    if any(isinstance(v, FunctionType) and v.__closure__ for v in plain.values()):
        return None
    try:
        return json.dumps(config, sort_keys=True), tuple(sorted(plain.items(), key=lambda item: item[0]))
    except TypeError:
        return None
