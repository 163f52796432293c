"""The calling styles of transformers' TF classes: keywords, one dict, one list, or arguments in order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

__all__ = ["FLAGS", "bind"]

FLAGS = ("output_attentions", "output_hidden_states", "return_dict", "training", "unpad", "num_segments", "loss_only")
"""The arguments that are no tensors."""


def bind(call: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the arguments of one call into keywords; those that are None are left out.

    Args:
        call: The method that is to be called.
        args: Arguments in order; or one mapping of them by name; or one list or tuple of them in order.
        kwargs: Arguments by name.

    Raises:
        TypeError: A name is unknown or given twice, or a tensor is none.
    """
    first = args[0] if args else None
    if isinstance(first, Mapping):
        twice = sorted(set(first) & set(kwargs))
        if len(args) > 1 or twice:
            raise TypeError(f"{f'{twice[0]!r} is' if twice else 'arguments are'} given beside the dict and in it")
        args, kwargs = (), {**first, **kwargs}
    elif len(args) == 1 and isinstance(first, (list, tuple)):
        args = tuple(first)
    signature = _signature(call.__func__) if inspect.ismethod(call) else inspect.signature(call)
    bound = signature.bind(*args, **kwargs).arguments
    arguments = {name: value for name, value in bound.items() if value is not None}
    for name, value in arguments.items():
        if name not in (*FLAGS, "layout") and not hasattr(value, "shape"):
            raise TypeError(f"{name} is a {type(value).__name__}; expected a tensor or an array")
    return arguments


@lru_cache
def _signature(method: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a method without `self`; reading it takes longer than binding."""
    signature = inspect.signature(method)
    return signature.replace(parameters=list(signature.parameters.values())[1:])
