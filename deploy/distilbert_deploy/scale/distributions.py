"""What a search space says of one option of training: a value, or a distribution that values are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from math import exp, isfinite, log
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_tasks.training.options import TrainingOptions

__all__ = ["check", "draw", "kind_of", "options_of"]

DISTRIBUTIONS = ("choice", "grid", "uniform", "loguniform", "integer")
_RANGES = ("uniform", "loguniform", "integer")
_LARGEST = 2**63
_NOT_SEARCHED = ("metric_for_best", "distillation", "frozen", "save_every", "keep_last", "log_every")
OPTIONS = tuple(one.name for one in fields(TrainingOptions) if one.name not in _NOT_SEARCHED)
"""The options of training that a space may name."""


def kind_of(values: Any) -> str | None:
    """Return the name of a distribution; None of a value that all trials have."""
    return next(iter(values)) if isinstance(values, Mapping) and len(values) == 1 else None


def check(name: Any, values: Any) -> None:
    """Require an option of training, and a value or a distribution.

    Args:
        name: The option.
        values: A value, or {distribution: values}.

    Raises:
        InputError: It is something else.
    """
    if name not in OPTIONS:
        close = get_close_matches(str(name), OPTIONS, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise InputError(f"space has {name!r}, which is no option to search; {hint}There are {', '.join(OPTIONS)}")
    if not isinstance(values, Mapping):
        options_of({name: values})
        return
    kind = kind_of(values)
    if kind not in DISTRIBUTIONS:
        raise InputError(
            f"{name} is {dict(values)!r}; expected a value, or one of {', '.join(DISTRIBUTIONS)} with its values, as "
            "{uniform: [0, 0.1]}"
        )
    parameters = values[kind]
    if not isinstance(parameters, (list, tuple)) or not parameters:
        raise InputError(f"{name} is {{{kind}: {parameters!r}}}; expected a list of values")
    if kind in _RANGES:
        _check_range(name, kind, parameters)
    for one in parameters:
        options_of({name: one})


def _check_range(name: str, kind: str, bounds: Any) -> None:
    are_numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) and isfinite(one) for one in bounds)
    if len(bounds) != 2 or not are_numbers or bounds[0] >= bounds[1]:
        example = "[0, 100]" if kind == "integer" else "[0, 0.1]"
        raise InputError(f"{name} is {{{kind}: {bounds!r}}}; expected the lowest and the highest number, as {example}")
    if kind == "loguniform" and bounds[0] <= 0:
        raise InputError(f"{name} is {{loguniform: {bounds!r}}}; expected numbers above 0")
    if kind == "integer" and not all(isinstance(one, int) and abs(one) < _LARGEST for one in bounds):
        raise InputError(f"{name} is {{integer: {bounds!r}}}; expected whole numbers below 2**63")


def options_of(values: Mapping[str, Any]) -> TrainingOptions:
    """Return options of training.

    Raises:
        InputError: They are none.
    """
    try:
        return TrainingOptions(**values)
    except TypeError as error:
        raise InputError(f"{', '.join(f'{name} is {value!r}' for name, value in values.items())}: {error}") from error


_DRAWS: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "choice": lambda values, random: values[int(random.integers(len(values)))],
    "uniform": lambda bounds, random: float(random.uniform(*bounds)),
    "loguniform": lambda bounds, random: exp(float(random.uniform(log(bounds[0]), log(bounds[1])))),
    "integer": lambda bounds, random: int(random.integers(bounds[0], bounds[1] + 1)),
}


def draw(values: Any, random: np.random.Generator) -> Any:
    """Return a value for one trial; None where a grid has it."""
    kind = kind_of(values)
    if kind == "grid":
        return None
    return values if kind is None else _DRAWS[kind](values[kind], random)
