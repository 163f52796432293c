"""A search space: a file in YAML or JSON that says what is tried, how often, and which trials stop early.

    trials: 12
    stop: asha
    space:
      learning_rate: {loguniform: [1.0e-5, 1.0e-3]}
      batch_size: {choice: [16, 32]}
      epochs: 4

The trials are drawn before the first one starts, and depend on the file alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from distilbert_common.errors import InputError
from distilbert_common.files import local_path
from distilbert_deploy.scale.distributions import check, draw, kind_of, options_of

__all__ = ["SearchSpace"]

STOPS = ("asha", "median", "none")
MOST_TRIALS = 100_000
"""More are a slip of the pen: each trial is a run of fine-tuning."""


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """What is tried.

    Attributes:
        space: By option of training a value that all trials have, or {distribution: values}.
        trials: How many times each combination of `grid` values is tried, with other draws of what is drawn.
        metric: The metric to choose by; None for the task's own.
        stop: "asha" stops a trial that is not among the better half, as it is after 1, 2, 4, … evaluations; "median"
            one that is worse than the median of the others; "none" stops none.
        grace: Evaluations that each trial may have in any case.
        seed: What the draws depend on.
    """

    space: Mapping[str, Any]
    trials: int = 10
    metric: str | None = None
    stop: str = "asha"
    grace: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.space, Mapping) or not self.space:
            raise InputError(f"space is {self.space!r}; expected options of training, as learning_rate, by name")
        for name, minimum in (("trials", 1), ("grace", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
                raise InputError(f"{name} is {value!r}; expected a whole number of at least {minimum}")
        if self.stop not in STOPS:
            raise InputError(f"stop is {self.stop!r}; expected one of {', '.join(STOPS)}")
        if self.metric is not None and not isinstance(self.metric, str):
            raise InputError(f"metric is {self.metric!r}; expected the name of a metric, as accuracy")
        for name, values in self.space.items():
            check(name, values)
        count = self.trials * prod(len(values) for values in self._grids().values())
        if count > MOST_TRIALS:
            raise InputError(f"trials and grid make {count:,} trials; expected at most {MOST_TRIALS:,}")

    def _grids(self) -> dict[str, Any]:
        """Return the values of each option of which all are tried."""
        return {name: values["grid"] for name, values in self.space.items() if kind_of(values) == "grid"}

    @classmethod
    def read(cls, path: str | Path) -> SearchSpace:
        """Read a file in YAML, or in JSON where its name ends in .json.

        Raises:
            InputError: It is not there, or is no search space; the message says what is wrong with which line of it.
        """
        file = local_path(path)
        values = _parsed(file)
        if not isinstance(values, dict):
            content = "nothing" if values is None else f"a {type(values).__name__}"
            raise InputError(f"{file} holds {content}; expected the names {', '.join(_names(cls))}")
        unknown = [str(name) for name in values if name not in _names(cls)]
        if unknown or "space" not in values:
            problem = f"has {unknown[0]!r}" if unknown else "has no 'space'"
            raise InputError(f"{file} {problem}; expected the names {', '.join(_names(cls))}")
        try:
            return cls(**values)
        except InputError as error:
            raise InputError(f"{file}: {error}") from error

    def draw(self) -> list[dict[str, Any]]:
        """Return the options of each trial.

        Raises:
            InputError: A trial has options that no training takes.
        """
        random = np.random.default_rng(self.seed)
        grids = self._grids()
        drawn = []
        for _ in range(self.trials):
            for combination in product(*grids.values()):
                chosen = dict(zip(grids, combination, strict=True))
                trial = {name: chosen.get(name, draw(values, random)) for name, values in self.space.items()}
                options_of(trial)
                drawn.append(trial)
        return drawn


def _names(cls: Any) -> list[str]:
    return [one.name for one in fields(cls) if one.init]


def _parsed(file: Path) -> Any:
    """Return what a file of YAML or JSON holds.

    Raises:
        InputError: It cannot be read.
    """
    import yaml  # type: ignore[import-untyped]

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """Reads YAML, and takes no name twice."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            _unique_keys((str(key.value), value) for key, value in node.value)
            return dict(super().construct_mapping(node, deep))

    try:
        text = file.read_text(encoding="utf-8-sig")
        is_json = file.suffix.lower() == ".json"
        return _numbers(json.loads(text, object_pairs_hook=_unique_keys) if is_json else yaml.load(text, Loader))
    except OSError as error:
        raise InputError(f"the search space {file} cannot be read: {error.strerror}; give a file") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} cannot be read as YAML or JSON: {reason}; correct it") from error


def _unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return pairs as a dict.

    Raises:
        ValueError: A name is there twice.
    """
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"{name!r} is given twice")
        values[name] = value
    return values


def _numbers(value: Any) -> Any:
    """Return values with numbers such as 1e-5, which YAML takes for text."""
    if isinstance(value, dict):
        return {name: _numbers(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    for number in (int, float) if isinstance(value, str) else ():
        with suppress(ValueError):
            return number(value)
    return value
