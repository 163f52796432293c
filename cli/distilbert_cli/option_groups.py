"""Options that several commands share: a group is a function whose parameters they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Any

__all__ = ["with_options"]

Command = Callable[..., None]


def with_options(*groups: Callable[..., None], **defaults: Any) -> Callable[[Command], Command]:
    """Give a command the options of groups, in the place of its `**options`, by which they reach it.

    Args:
        *groups: Functions that have the options as parameters.
        **defaults: Defaults of this command, where they differ from a group's.
    """

    def decorate(command: Command) -> Command:
        own_parameters = [
            one for one in signature(command, eval_str=True).parameters.values() if one.kind is not one.VAR_KEYWORD
        ]
        shared_parameters = [one for group in groups for one in signature(group, eval_str=True).parameters.values()]
        shared_parameters = [one.replace(default=defaults.get(one.name, one.default)) for one in shared_parameters]

        @wraps(command)
        def run(**arguments: Any) -> None:
            command(**arguments)

        parameters = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in [*own_parameters, *shared_parameters]]
        vars(run)["__signature__"] = signature(command).replace(parameters=parameters)
        return run

    return decorate
