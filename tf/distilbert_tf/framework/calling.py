"""The calling styles of transformers' TF classes: keywords, one dict, one list, or arguments in order.

A class of a user's own may name these arguments too, take them as `*args` and `**kwargs`, or take the first one as it
is, as Keras' models do: `call(self, inputs)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

__all__ = ["FLAGS", "bind", "inputs_argument", "names_of", "takes_any_keyword"]

FLAGS = ("output_attentions", "output_hidden_states", "return_dict", "training", "unpad", "num_segments", "loss_only")
"""The arguments that are no tensors."""

TENSORS = (
    *("input_ids", "attention_mask", "head_mask", "inputs_embeds", "position_ids", "token_type_ids"),
    *("segment_ids", "labels", "start_positions", "end_positions"),
)
"""The arguments that are; what a user's own class takes beside them may be anything."""


def bind(call: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the arguments of one call into keywords; those that are None are left out.

    Args:
        call: The method that is to be called.
        args: Arguments in order; or one mapping of them by name; or one list or tuple of them in order.
        kwargs: Arguments by name.

    Raises:
        TypeError: A name is unknown or given twice, or a tensor is none.
    """
    first, inputs_name = args[0] if args else None, inputs_argument(call)
    if inputs_name is not None and isinstance(first, Mapping) and set(first) == {inputs_name}:
        args = (first[inputs_name], *args[1:])  # bound already
    elif inputs_name is None and isinstance(first, Mapping):
        twice = sorted(set(first) & set(kwargs))
        if len(args) > 1 or twice:
            raise TypeError(f"{f'{twice[0]!r} is' if twice else 'arguments are'} given beside the dict and in it")
        args, kwargs = (), {**first, **kwargs}
    elif inputs_name is None and len(args) == 1 and isinstance(first, (list, tuple)):
        args = tuple(first)
    signature = _signature_of(call)
    bound = signature.bind(*args, **kwargs).arguments
    bound |= bound.pop(_keywords_name(signature), {})
    arguments = {name: value for name, value in bound.items() if value is not None}
    for name, value in arguments.items():
        if name in TENSORS and not hasattr(value, "shape"):
            raise TypeError(f"{name} is a {type(value).__name__}; expected a tensor or an array")
    return arguments


def names_of(call: Callable[..., Any]) -> set[str]:
    """Return the names by which a method takes inputs and flags, also within one argument for all inputs."""
    return {*_signature_of(call).parameters, *(TENSORS if inputs_argument(call) else ())}


def takes_any_keyword(call: Callable[..., Any]) -> bool:
    """Whether a method takes `**kwargs`."""
    return bool(_keywords_name(_signature_of(call)))


def inputs_argument(call: Callable[..., Any]) -> str | None:
    """Return the name of the argument that is all inputs, such as `inputs`; None where each has an argument."""
    for first in _signature_of(call).parameters.values():
        is_named = first.name in TENSORS or first.kind is not first.POSITIONAL_OR_KEYWORD
        return None if is_named else first.name
    return None


def _keywords_name(signature: inspect.Signature) -> str:
    """Return the name of `**kwargs`, "" where there are none."""
    return next((x.name for x in signature.parameters.values() if x.kind is x.VAR_KEYWORD), "")


def _signature_of(call: Callable[..., Any]) -> inspect.Signature:
    owner: Any = type(getattr(call, "__self__", None))
    return _signature(owner, call.__func__) if inspect.ismethod(call) else inspect.signature(call)


@lru_cache
def _signature(owner: type, method: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a method without `self`, with the names that it takes as `*args` and `**kwargs`.

    These are the names of the method that it overrides. Reading a signature takes longer than binding.
    """
    parameters = list(inspect.signature(method).parameters.values())[1:]
    named = [x for x in parameters if x.kind not in (x.VAR_POSITIONAL, x.VAR_KEYWORD)]
    any_keyword = [x for x in parameters if x.kind is x.VAR_KEYWORD]
    if any_keyword:
        known = {x.name for x in named}
        kind = named[-1].kind if named else inspect.Parameter.POSITIONAL_OR_KEYWORD
        more = _overridden(owner, method)
        named += [x.replace(kind=kind, default=None) for x in more if x.name not in known]
    return inspect.Signature([*named, *any_keyword])


def _overridden(owner: type, method: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the named parameters of the method that another overrides, none where that takes anything."""
    versions = [vars(cls)[method.__name__] for cls in owner.__mro__ if method.__name__ in vars(cls)]
    later = versions[versions.index(method) + 1 :] if method in versions else []
    if not later:
        return []
    parameters = _signature(owner, later[0]).parameters.values()
    return [x for x in parameters if x.kind is not x.VAR_KEYWORD]
