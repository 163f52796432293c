"""What a model is without the values of its variables, read once and for as long as nobody changes it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary, ref

import jax
from flax import nnx

from distilbert_flax.activations import ACTIVATIONS
from distilbert_flax.fast.recomputation import Recomputed
from distilbert_flax.framework.changes import Module, latest_change, latest_changes
from distilbert_flax.framework.variables import flat_variables
from distilbert_flax.layers import Dropout, Embed, LayerNorm, Linear, List, Projector

__all__ = ["CHANGING", "Description", "Snapshot", "is_per_token", "is_training", "snapshot_of"]

MOST_DESCRIPTIONS = 64
"""How many descriptions are remembered for models of equal structure to share."""

CHANGING = (nnx.RngCount, nnx.BatchStat)
"""The kinds of variable that a call may change: counters of random streams, and statistics that layers keep."""

OWN_LAYERS = (Dropout, Embed, LayerNorm, Linear, List, Projector)
"""The layers that the models are made of; their attributes are sizes, and functions that NNX gives them."""

PER_TOKEN_LAYERS = (nnx.Linear, nnx.LoRA, nnx.LoRALinear, nnx.LayerNorm, nnx.RMSNorm, nnx.Dropout, nnx.Embed)
"""NNX's layers that treat each token by itself, so that padding beside it changes nothing."""

CONTAINERS = (nnx.List, nnx.Sequential, nnx.Rngs, nnx.RngStream)
"""Modules that compute nothing themselves."""


@dataclass(frozen=True, eq=False)
class Description:
    """All that a program depends on besides values and shapes; it holds no module and no variable.

    Attributes:
        graphdef: NNX's description of the model.
        treedef: How the variables' values make NNX's state.
    """

    graphdef: Any
    treedef: Any

    @classmethod
    def of(cls, model: Any) -> Description:
        """Describe a model; its config is copied, as a field that is set later must not change a description."""
        config = copy.deepcopy(model.config)
        config.architectures = config.dtype = None  # which differ once a model was saved, and play no part in a call
        twin = nnx.clone(model, variables=False)
        twin.load_report, twin.seed, twin.input_shape = None, 0, (1, 1)  # nor do these
        for _, module in nnx.iter_modules(twin):
            if getattr(module, "config", None) is model.config:
                module.config = config
        graphdef, state = nnx.split(twin)
        return cls(graphdef, jax.tree.structure(state))

    @cached_property
    def _hash(self) -> int:
        return hash((self.graphdef, self.treedef))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        """Whether the same program serves both."""
        if self is other or not isinstance(other, Description):
            return self is other
        return bool(self.graphdef == other.graphdef and self.treedef == other.treedef)


@lru_cache(maxsize=MOST_DESCRIPTIONS)
def shared(description: Description) -> Description:
    """Return the first of equal descriptions: models of equal structure then have the same one."""
    return description


class Snapshot:
    """A model's description and variables, and what tells whether they are still the model's.

    Attributes:
        description: What its programs are found by; None where an attribute cannot be hashed.
        variables: The variables, in the order of the state.
        paths: The path in `params` of each variable that is stored, joined by "/"; None for the others.
        changing: The variables that a call may change.
        per_token: Whether all but attention treats each token by itself.
        training: Whether dropout is active.
    """

    def __init__(self, model: Any) -> None:
        self._change = latest_change()  # before anything is read: what changes meanwhile is noticed
        modules = [module for _, module in nnx.iter_modules(model)]
        self._modules = tuple(ref(module) for module in modules if isinstance(module, Module))
        self._changes = latest_changes(module() for module in self._modules)
        self._config = dict(vars(model.config))
        # Nobody counts the changes of others' modules: they are compared attribute by attribute.
        self._others = tuple((m, dict(vars(m))) for m in modules if not isinstance(m, (Module, nnx.RngStream)))
        try:
            self.description: Description | None = shared(Description.of(model))
        except TypeError:  # a module has a list or a dict of its own, which cannot be hashed
            self.description = None
        self.variables = tuple(variable for _, variable in nnx.to_flat_state(nnx.state(model)))
        paths = {id(variable): path for path, variable in flat_variables(model).items()}
        self.paths = tuple(paths.get(id(variable)) for variable in self.variables)
        self.changing = tuple(variable for variable in self.variables if isinstance(variable, CHANGING))
        # What the model's own class does is for `padding_is_unseen` to say, not what it calls.
        inner = (module for module in modules if module is not model)
        self.per_token = all(map(is_per_token, inner)) and all(map(is_per_element, functions_of(model)))
        self.training = any(map(is_active_dropout, modules))

    def is_current(self, model: Any) -> bool:
        """Whether the model still is what it was."""
        if self._others and not all(same(vars(module), attributes) for module, attributes in self._others):
            return False
        latest = latest_change()
        if self._change == latest:
            return True
        if self._changes != latest_changes(m() for m in self._modules) or self._config != vars(model.config):
            return False
        self._change = latest  # it was another model's
        return True

    def leads_to(self, model: Any) -> bool:
        """Whether what is held of others' modules holds the model."""
        return any(value is model for _, attributes in self._others for value in attributes.values())

    @cached_property
    def parameters(self) -> dict[str, nnx.Variable[Any]]:
        """The variables that are stored, by their path in `params`."""
        return {path: v for path, v in zip(self.paths, self.variables, strict=True) if path is not None}

    def values(self) -> list[Any]:
        """Return the variables' values."""
        return [variable.get_raw_value() for variable in self.variables]

    def with_params(self, params: Mapping[str, Any]) -> list[Any]:
        """Return the variables' values with those in `params`, by path, in the place of those that are stored."""
        pairs = zip(self.variables, self.paths, strict=True)
        return [variable.get_raw_value() if path is None else params[path] for variable, path in pairs]


def same(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether a module's attributes are the objects that they were."""
    return len(now) == len(before) and all(map(is_, now.values(), before.values()))


def is_active_dropout(module: Any) -> bool:
    """Whether a module is a dropout that drops."""
    return isinstance(module, nnx.Dropout) and not module.deterministic


def is_training(model: nnx.Module) -> bool:
    """Whether dropout is active in a model."""
    return any(is_active_dropout(module) for _, module in nnx.iter_modules(model))


def is_per_token(module: nnx.Module) -> bool:
    """Whether a module sees one token only, or is one of this package's, which heed the mask."""
    if type(module) in (*PER_TOKEN_LAYERS, *CONTAINERS, *OWN_LAYERS):
        return True
    is_ours = type(module).__module__.partition(".")[0] == __package__.partition(".")[0]
    return is_ours and all(map(is_per_element, functions_of(module)))


def functions_of(module: nnx.Module) -> Iterator[Any]:
    """Yield what a module calls that is no module: its activation, and whatever else was put in a layer's place."""
    return (value for value in vars(module).values() if callable(value) and not isinstance(value, nnx.Module))


def is_per_element(function: Any) -> bool:
    """Whether a function is one of our activations."""
    return (function.function if isinstance(function, Recomputed) else function) in ACTIVATIONS.values()


_snapshots: WeakKeyDictionary[nnx.Module, Snapshot] = WeakKeyDictionary()


def snapshot_of(model: Any) -> Snapshot:
    """Return the snapshot of a model, taken anew where the model has changed."""
    snapshot = _snapshots.get(model)
    if snapshot is None or not snapshot.is_current(model):
        snapshot = Snapshot(model)
        if not snapshot.leads_to(model):  # or else the entry would keep its own key in memory
            _snapshots[model] = snapshot
    return snapshot
