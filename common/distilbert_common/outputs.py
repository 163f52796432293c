"""What the models return: attribute, key and tuple access in the order of transformers' PyTorch classes."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, ItemsView, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, NamedTuple, dataclass_transform

__all__ = [
    "OUTPUT_TYPES",
    "BaseModelOutput",
    "DistillationLoss",
    "MaskedLMOutput",
    "ModelOutput",
    "MultipleChoiceModelOutput",
    "QuestionAnsweringModelOutput",
    "SequenceClassifierOutput",
    "TokenClassifierOutput",
    "per_token_outputs",
]


@dataclass_transform()
class ModelOutput(OrderedDict[str, Any]):
    """The base of all outputs: a dataclass, an ordered mapping and a tuple at once.

    Fields that are None are left out of keys, length, iteration and `to_tuple`, as in transformers.
    A mapping or an iterable of pairs as the only argument fills the fields, so that frameworks can rebuild one.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(cls)

    def __post_init__(self) -> None:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        values = {name: self.__dict__[name] for name in names}
        first = values[names[0]]
        if all(values[name] is None for name in names[1:]) and _holds_pairs(first):
            values = {**dict.fromkeys(names), **dict(first)}
            unknown = sorted(set(values) - set(names))
            if unknown:
                raise TypeError(f"{type(self).__name__} has no field {unknown[0]!r}; its fields are {', '.join(names)}")
        self.clear()
        for name, value in values.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if value is not None:
            super().__setitem__(name, value)
        super().__setattr__(name, value)

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        super().__setattr__(name, value)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def __delitem__(self, *_: Any) -> None:
        raise TypeError(f"a field of {type(self).__name__} cannot be deleted; build a new one without it")

    pop = setdefault = update = popitem = __delitem__  # type: ignore[assignment]

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class that `isinstance` goes by: also transformers' own of this name, where transformers is imported.

        Its pipelines and Trainer ask whether an output is one of theirs, and take any other mapping apart.
        """
        theirs = getattr(sys.modules.get("transformers.modeling_outputs"), type(self).__name__, None)
        return _made_as_ours(theirs, type(self)) if isinstance(theirs, type) else type(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]

    def to_tuple(self) -> tuple[Any, ...]:
        """Return the values of all fields that are not None, in order."""
        return tuple(self.values())


@cache
def _made_as_ours(theirs: type, ours: type[ModelOutput]) -> type:
    """Return a subclass of transformers' type that makes ours when it is called, as `dataclasses.replace` calls it."""
    namespace = {
        "__module__": f"{ours.__module__}.as_transformers",  # theirs enters each subclass into a table by this name
        "__doc__": ours.__doc__,
        "__new__": lambda _, *args, **kwargs: ours(*args, **kwargs),
    }
    return type(ours.__name__, (theirs,), namespace)


def _holds_pairs(value: Any) -> bool:
    """Whether `value` is a mapping or an iterable of (name, value) pairs, and not a tensor or tuple of tensors."""
    if isinstance(value, (Mapping, ItemsView)):
        return True
    if value is None or hasattr(value, "shape"):
        return False
    if not isinstance(value, (list, tuple)):
        return hasattr(value, "__next__")
    return bool(value) and all(isinstance(v, (list, tuple)) and len(v) == 2 and isinstance(v[0], str) for v in value)


class BaseModelOutput(ModelOutput):
    """Output of the bare model.

    Attributes:
        last_hidden_state: (batch, seq, dim) hidden states after the last block.
        hidden_states: Embeddings and the output of each block, n_layers + 1 of (batch, seq, dim).
        attentions: Attention probabilities of each block, (batch, heads, seq, seq).
    """

    last_hidden_state: Any = None
    hidden_states: Any = None
    attentions: Any = None

    def map_hidden_states(self, function: Callable[[Any], Any]) -> BaseModelOutput:
        """Return the output with a function of each hidden state; the last one is the same object in both places."""
        if self.hidden_states is None:
            return BaseModelOutput(function(self.last_hidden_state), None, self.attentions)
        hidden_states = tuple(function(x) for x in self.hidden_states)
        return BaseModelOutput(hidden_states[-1], hidden_states, self.attentions)


class LogitsOutput(ModelOutput):
    """The fields of a head with one kind of logits."""

    loss: Any = None
    logits: Any = None
    hidden_states: Any = None
    attentions: Any = None


class MaskedLMOutput(LogitsOutput):
    """Output of the masked-LM model: scalar loss, logits (batch, seq, vocab), and the base model's lists."""


class SequenceClassifierOutput(LogitsOutput):
    """Output of the sequence classifier: scalar loss, logits (batch, num_labels), and the base model's lists."""


class MultipleChoiceModelOutput(LogitsOutput):
    """Output of the multiple-choice model: scalar loss, logits (batch, choices), and the base model's lists."""


class TokenClassifierOutput(LogitsOutput):
    """Output of the token classifier: scalar loss, logits (batch, seq, num_labels), and the base model's lists."""


class QuestionAnsweringModelOutput(ModelOutput):
    """Output of the question answerer: scalar loss, start and end logits (batch, seq), the base model's lists."""

    loss: Any = None
    start_logits: Any = None
    end_logits: Any = None
    hidden_states: Any = None
    attentions: Any = None


class DistillationLoss(NamedTuple):
    """The triple loss and its unweighted parts, all scalar."""

    total: Any
    ce: Any
    mlm: Any
    cos: Any


OUTPUT_TYPES: tuple[type[ModelOutput], ...] = (
    BaseModelOutput,
    MaskedLMOutput,
    SequenceClassifierOutput,
    MultipleChoiceModelOutput,
    TokenClassifierOutput,
    QuestionAnsweringModelOutput,
)
"""All output types; each family registers them with its framework's tree utilities."""


def per_token_outputs(head: str | None) -> tuple[str, ...]:
    """Return the names of a model's outputs that have one value, or one vector, for each token.

    Args:
        head: Which model, as "ForMaskedLM".
    """
    names = ("last_hidden_state", "hidden_states", "start_logits", "end_logits")
    return (*names, "logits") if head in ("ForMaskedLM", "ForTokenClassification") else names
