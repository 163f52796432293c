"""Compiled calls: a call made outside a trace runs a program that JAX compiles once for each shape.

Programs are keyed by the model's structure, the arguments that are no arrays, and shapes. Finding the structure out
takes longer than a small input does, so it is kept beside the model and only looked over at each call.

Without labels and outside training, sizes are rounded up to buckets, whose padding is cut off again: whatever sizes up
to 512 tokens come, there are at most 25 lengths and, for each doubling of the batch, 4 batch sizes.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from operator import is_
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from distilbert_flax.bucketing import cut, to_bucket
from distilbert_flax.checks import check_values
from distilbert_flax.segments import count_segments
from distilbert_flax.slices import tokens_at_once
from distilbert_flax.unpadding import without_padding

if TYPE_CHECKING:
    from distilbert_flax.functional import FunctionalModule, Params


@dataclass(frozen=True, eq=False)
class Structure:
    """What a model is without the values of its variables.

    Attributes:
        graphdef: NNX's description of it.
        treedef: How the variables' values make NNX's state.
        variables: The variables, in the order of the state.
        paths: The path in `params` of each variable that is stored, joined by "/"; None for the others.
        parts: Every module with the attributes that it had.
        config: The config's fields as they were.
    """

    graphdef: Any
    treedef: Any
    variables: tuple[nnx.Variable[Any], ...]
    paths: tuple[str | None, ...]
    parts: tuple[tuple[Any, dict[str, Any]], ...]
    config: dict[str, Any]

    @classmethod
    def of(cls, model: FunctionalModule) -> Structure:
        """Read the structure of a model as it is."""
        graphdef, state = nnx.split(model)
        variables = tuple(variable for _, variable in nnx.to_flat_state(nnx.state(model)))
        stored = {id(variable): path for path, variable in model.flat_variables().items()}
        paths = tuple(stored.get(id(variable)) for variable in variables)
        parts = tuple((module, dict(vars(module))) for _, module in nnx.iter_modules(model))
        return cls(graphdef, jax.tree.structure(state), variables, paths, parts, dict(vars(model.config)))

    @cached_property
    def _hash(self) -> int:
        return hash((self.graphdef, self.treedef))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        """Whether the same program serves both."""
        if self is other or not isinstance(other, Structure):
            return self is other
        return bool(self.graphdef == other.graphdef and self.treedef == other.treedef)

    def holds(self, model: FunctionalModule) -> bool:
        """Whether the model still is what it was: the same attributes in each module, the same config."""
        if vars(model.config) != self.config:
            return False
        for module, before in self.parts:
            now = vars(module)
            if len(now) != len(before) or not all(map(is_, now.values(), before.values())):
                return False
        return True

    @cached_property
    def stored(self) -> dict[str, nnx.Variable[Any]]:
        """The variables that are stored, by their path in `params`."""
        return {path: v for path, v in zip(self.paths, self.variables, strict=True) if path is not None}

    @cached_property
    def training(self) -> bool:
        """Whether dropout is active."""
        return any(isinstance(module, nnx.Dropout) and not module.deterministic for module, _ in self.parts)

    @cached_property
    def counters(self) -> tuple[nnx.Variable[Any], ...]:
        """The variables that count how often a random stream was asked."""
        return tuple(variable for variable in self.variables if isinstance(variable, nnx.RngCount))

    def values(self) -> list[Any]:
        """Return the variables' values."""
        return [variable.get_raw_value() for variable in self.variables]

    def with_params(self, given: Mapping[str, Any]) -> list[Any]:
        """Return the variables' values with those given by path in the place of those that are stored."""
        own = zip(self.variables, self.paths, strict=True)
        return [variable.get_raw_value() if path is None else given[path] for variable, path in own]


_structures: WeakKeyDictionary[FunctionalModule, Structure] = WeakKeyDictionary()


def structure_of(model: FunctionalModule) -> Structure:
    """Return the structure of a model, read anew where the model has changed."""
    structure = _structures.get(model)
    if structure is None or not structure.holds(model):
        structure = _structures[model] = Structure.of(model)
    return structure


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _program(
    structure: Structure,
    flags: tuple[tuple[str, Any], ...],
    train: bool | None,
    pure: bool,
    values: list[Any],
    arrays: dict[str, Any],
    dropout_rng: Array | None,
) -> tuple[Any, list[Array]]:
    """Run a model; return its output and the counters of its random streams."""
    model = nnx.merge(structure.graphdef, jax.tree.unflatten(structure.treedef, values))
    if not (structure.training if train is None else train):  # nor is a gradient taken: no trace is around this one
        model.base_model.tokens_at_once = tokens_at_once()
    output = model.bound(None, dropout_rng, train, pure=pure).forward(**arrays, **dict(flags))
    return output, jax.tree.leaves(nnx.state(model, nnx.RngCount))


@lru_cache
def _names(model_class: type[FunctionalModule]) -> tuple[str, ...]:
    """Return the names of `forward`'s arguments in order."""
    return tuple(inspect.signature(model_class.forward).parameters)[1:]


def call(
    model: FunctionalModule,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    params: Params | None,
    dropout_rng: Array | None,
    train: bool | None,
    unpad: bool = True,
) -> Any:
    """Run `model.forward` as a compiled program, or as it is where something given is being traced.

    Args:
        model: The model.
        args: Arguments of `forward` in order.
        kwargs: Arguments of `forward` by name.
        params: The parameters to use instead of the model's own.
        dropout_rng: The key of dropout instead of the model's own streams.
        train: Whether dropout is active; None for the model's mode.
        unpad: Whether padding may be left out.
    """
    names = _names(type(model))
    twice = kwargs.keys() & set(names[: len(args)])
    if len(args) > len(names) or twice or (params is None and model.is_empty):
        return model.bound(params, dropout_rng, train).forward(*args, **kwargs)  # which raises
    named = {**dict(zip(names, args, strict=False)), **kwargs}
    given = {name: value for name, value in named.items() if value is not None or name not in names}
    arrays = {name: value for name, value in given.items() if hasattr(value, "shape")}
    structure = structure_of(model)
    values = (
        structure.values() if params is None else structure.with_params(model.flat_params(params, structure.stored))
    )
    if any(isinstance(x, jax.core.Tracer) for x in (*values, *arrays.values(), dropout_rng)):
        return model.bound(params, dropout_rng, train).forward(**given)
    check_values(model.config, *(arrays.get(name) for name in ("input_ids", "position_ids", "token_type_ids")))
    flags = {name: value for name, value in given.items() if name not in arrays}
    if "segment_ids" in arrays and "num_segments" in names:
        flags["num_segments"] = count_segments(arrays["segment_ids"], given.get("labels"), given.get("num_segments"))
    whole, pure = arrays, params is not None
    as_output, flags["return_dict"] = flags.get("return_dict", model.config.return_dict), True
    if model.head != "ForMultipleChoice" and not (structure.training if train is None else train):
        arrays = without_padding(arrays, flags, model.head, model.config) if unpad else arrays
        arrays = to_bucket(arrays, model.config.max_position_embeddings) if arrays is whole else arrays
    output, counts = _program(structure, tuple(sorted(flags.items())), train, pure, values, arrays, dropout_rng)
    if dropout_rng is None and not pure:
        for counter, value in zip(structure.counters, counts, strict=True):
            counter.set_value(value)
    if "labels" in arrays and bool(jnp.isnan(output[0])):
        return model.bound(params, dropout_rng, train).forward(**given)  # a label that is no class is refused here
    if arrays is not whole:
        cut(output, model.head, whole["input_ids"].shape)
    return output if as_output else output.to_tuple()
