"""What a model is without the values of its variables, read once and looked over at each call."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import is_
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import jax
from flax import nnx

from distilbert_flax.layers import Projector

if TYPE_CHECKING:
    from distilbert_flax.functional import FunctionalModule

MOST_DESCRIPTIONS = 64
"""How many descriptions are remembered for models of equal structure to share."""

PER_TOKEN_LAYERS = (nnx.Linear, nnx.LoRA, nnx.LoRALinear, nnx.LayerNorm, nnx.RMSNorm, nnx.Dropout, nnx.Embed, Projector)
"""Layers that treat each token by itself, so that padding beside it changes nothing."""

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
    def of(cls, model: FunctionalModule) -> Description:
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


@dataclass(frozen=True, eq=False)
class Structure:
    """A model's description, and its variables and modules as they were; kept for as long as the model lives.

    Attributes:
        description: What its programs are found by; None where an attribute cannot be hashed.
        variables: The variables, in the order of the state.
        paths: The path in `params` of each variable that is stored, joined by "/"; None for the others.
        attributes: The attributes of the model itself.
        parts: Every module inside with the attributes that it had.
        config: The config's fields as they were.
        per_token: Whether all layers but attention treat each token by itself.
    """

    description: Description | None
    variables: tuple[nnx.Variable[Any], ...]
    paths: tuple[str | None, ...]
    attributes: dict[str, Any]
    parts: tuple[tuple[Any, dict[str, Any]], ...]
    config: dict[str, Any]
    per_token: bool

    @classmethod
    def of(cls, model: FunctionalModule) -> Structure:
        """Read the structure of a model as it is."""
        description: Description | None = Description.of(model)
        try:
            description = shared(description)
        except TypeError:  # a module has a list or a dict of its own, which cannot be hashed
            description = None
        variables = tuple(variable for _, variable in nnx.to_flat_state(nnx.state(model)))
        stored = {id(variable): path for path, variable in model.flat_variables().items()}
        paths = tuple(stored.get(id(variable)) for variable in variables)
        # The model itself is left out, as what is kept beside it must not keep it.
        parts = tuple((module, dict(vars(module))) for _, module in nnx.iter_modules(model) if module is not model)
        per_token = all(is_per_token(type(module)) for module, _ in parts)
        return cls(description, variables, paths, dict(vars(model)), parts, dict(vars(model.config)), per_token)

    def holds(self, model: FunctionalModule) -> bool:
        """Whether the model still is what it was: the same attributes in each module, the same config."""
        return (
            vars(model.config) == self.config
            and same(vars(model), self.attributes)
            and all(same(vars(module), before) for module, before in self.parts)
        )

    def leads_to(self, model: FunctionalModule) -> bool:
        """Whether a module inside has the model as an attribute."""
        return any(value is model for _, attributes in self.parts for value in attributes.values())

    @cached_property
    def stored(self) -> dict[str, nnx.Variable[Any]]:
        """The variables that are stored, by their path in `params`."""
        return {path: v for path, v in zip(self.paths, self.variables, strict=True) if path is not None}

    @cached_property
    def training(self) -> bool:
        """Whether dropout is active."""
        return any(map(is_active_dropout, (module for module, _ in self.parts)))

    @cached_property
    def changing(self) -> tuple[nnx.Variable[Any], ...]:
        """The variables that a call may change: counters of random streams, and statistics of layers that keep any."""
        return tuple(variable for variable in self.variables if isinstance(variable, CHANGING))

    def values(self) -> list[Any]:
        """Return the variables' values."""
        return [variable.get_raw_value() for variable in self.variables]

    def with_params(self, params: Mapping[str, Any]) -> list[Any]:
        """Return the variables' values with those in `params`, by path, in the place of those that are stored."""
        own = zip(self.variables, self.paths, strict=True)
        return [variable.get_raw_value() if path is None else params[path] for variable, path in own]


CHANGING = (nnx.RngCount, nnx.BatchStat)
"""The kinds of variable that a call may change."""


def is_active_dropout(module: Any) -> bool:
    """Whether a module is a dropout that drops."""
    return isinstance(module, nnx.Dropout) and not module.deterministic


def is_training(model: nnx.Module) -> bool:
    """Whether dropout is active in a model."""
    return any(is_active_dropout(module) for _, module in nnx.iter_modules(model))


def same(now: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether a module's attributes are the objects that they were."""
    return len(now) == len(before) and all(map(is_, now.values(), before.values()))


def is_per_token(module_class: type) -> bool:
    """Whether a module of this class sees one token only, or is one of this package's, which heed the mask."""
    known = module_class in PER_TOKEN_LAYERS or module_class in CONTAINERS
    return known or module_class.__module__.startswith(f"{__package__}.")


_structures: WeakKeyDictionary[FunctionalModule, Structure] = WeakKeyDictionary()


def structure_of(model: FunctionalModule) -> Structure:
    """Return the structure of a model, read anew where the model has changed."""
    structure = _structures.get(model)
    if structure is None or not structure.holds(model):
        structure = Structure.of(model)
        if not structure.leads_to(model):  # or else the entry would keep its own key in memory
            _structures[model] = structure
    return structure
