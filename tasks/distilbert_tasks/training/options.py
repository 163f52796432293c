"""How a model is fine-tuned: every figure of a run, checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, Literal, get_args

from distilbert_common.errors import InputError
from distilbert_common.training import EngineOptions, Precision

__all__ = ["Layout", "Schedule", "TrainingOptions"]

Layout = Literal["packed", "padded"]
Schedule = Literal["linear", "cosine", "constant"]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(EngineOptions):
    """How a model is fine-tuned; what transformers' `TrainingArguments` have too has their default.

    Attributes:
        learning_rate: The highest one, at the end of the warm-up.
        epochs: How often each example is seen; a fraction ends within an epoch.
        max_steps: How many steps to train, whatever `epochs` says.
        batch_size: Rows that a step takes, of all processes together.
        tokens_per_batch: About how many tokens a step takes, in place of a number of rows.
        accumulation: Parts that a step is computed in, one after the other, to need less memory.
        layout: "packed" puts several texts into one row, "padded" pads each.
        row_length: Tokens in a packed row; None for the longest text.
        schedule: How the learning rate goes on after the warm-up: linear or cosine to 0, or constant.
        warmup_steps: Steps in which the learning rate rises from 0.
        warmup_ratio: The same as a share of all steps, where `warmup_steps` is 0.
        eval_every: Steps from one evaluation to the next; None for one at the end of each epoch.
        metric_for_best: The metric by which the best weights are chosen; None for the task's own.
        patience: Evaluations in a row without a better value after which training stops early; None for never.
        min_delta: By how much a value must be better to count as such for `patience`.
        save_every: Steps from one checkpoint to the next; None for one at the end of each epoch.
        keep_last: How many checkpoints are kept.
        log_every: Steps over which the loss is averaged for one line of `metrics.jsonl`.
        balance_classes: Whether each class counts as if all were equally frequent in the training data; sets
            `class_weights`.
    """

    learning_rate: float = 5e-5
    epochs: float = 3.0
    max_steps: int | None = None
    batch_size: int = 32
    tokens_per_batch: int | None = None
    accumulation: int = 1
    layout: Layout = "packed"
    row_length: int | None = None
    schedule: Schedule = "linear"
    warmup_steps: int = 0
    warmup_ratio: float = 0.0
    eval_every: int | None = None
    metric_for_best: str | None = None
    patience: int | None = None
    min_delta: float = 0.0
    save_every: int | None = None
    keep_last: int = 1
    log_every: int = 10
    balance_classes: bool = False

    def __post_init__(self) -> None:
        for name, (is_valid, rule) in _RULES.items():
            if not is_valid(getattr(self, name)):
                raise InputError(f"{name} is {getattr(self, name)!r}; it must be {rule}")

    @property
    def engine(self) -> EngineOptions:
        """What the engine is told of it."""
        return EngineOptions(**{field.name: getattr(self, field.name) for field in fields(EngineOptions)})


Rule = tuple[Callable[[Any], bool], str]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _integer(least: int) -> Rule:
    return (lambda x: _number(x) and isinstance(x, int) and x >= least, f"a whole number of at least {least}")


def _one_of(kind: Any) -> Rule:
    return (lambda x: x in get_args(kind), f"one of {', '.join(get_args(kind))}")


def _or_none(rule: Rule) -> Rule:
    return (lambda x: x is None or rule[0](x), f"{rule[1]}, or None")


def _are_weights(values: Any) -> bool:
    return len(values) > 0 and all(_number(x) and x >= 0 for x in values) and sum(values) > 0


_POSITIVE: Rule = (lambda x: _number(x) and x > 0, "a number above 0")
_NOT_NEGATIVE: Rule = (lambda x: _number(x) and x >= 0, "a number of at least 0")
_BELOW_ONE: Rule = (lambda x: _number(x) and 0 <= x < 1, "a number from 0 to below 1")

_RULES: dict[str, Rule] = {
    "learning_rate": _POSITIVE,
    "epochs": _POSITIVE,
    "max_steps": _or_none(_integer(1)),
    "batch_size": _integer(1),
    "tokens_per_batch": _or_none(_integer(1)),
    "accumulation": _integer(1),
    "layout": _one_of(Layout),
    "row_length": _or_none(_integer(1)),
    "schedule": _one_of(Schedule),
    "warmup_steps": _integer(0),
    "warmup_ratio": _BELOW_ONE,
    "eval_every": _or_none(_integer(1)),
    "patience": _or_none(_integer(1)),
    "min_delta": _NOT_NEGATIVE,
    "save_every": _or_none(_integer(1)),
    "keep_last": _integer(1),
    "log_every": _integer(1),
    "weight_decay": _NOT_NEGATIVE,
    "betas": (lambda x: len(x) == 2 and all(_number(b) and 0 <= b < 1 for b in x), "two numbers from 0 to below 1"),
    "epsilon": _POSITIVE,
    "max_grad_norm": _or_none(_POSITIVE),
    "label_smoothing": _BELOW_ONE,
    "class_weights": _or_none((_are_weights, "numbers of at least 0, one above 0 among them")),
    "precision": _one_of(Precision),
    "layer_decay": (lambda x: _number(x) and 0 < x <= 1, "a number above 0 and of at most 1"),
    "seed": (lambda x: _integer(0)[0](x) and x < 2**32, "a whole number from 0 to below 2 ** 32"),
}
