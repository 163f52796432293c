"""Batches of training: which rows each step takes, divided among micro batches and processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count

from distilbert_common.errors import InputError
from distilbert_common.training import MicroBatch
from distilbert_tasks.batches.numbered import CachedTeacher, NumberedBatch, Plan
from distilbert_tasks.batches.options import BatchOptions
from distilbert_tasks.batches.packed_epochs import PackedEpochs
from distilbert_tasks.batches.step_rows import StepRows
from distilbert_tasks.features import Features

__all__ = ["numbered_batches", "steps_per_epoch", "training_batches"]


def steps_per_epoch(features: Features, options: BatchOptions) -> int:
    """Return how many steps an epoch has, the same in each.

    Raises:
        InputError: There are no rows, or one is longer than `tokens_per_batch`.
    """
    return _plan(features, options).steps


def training_batches(
    features: Features,
    options: BatchOptions,
    *,
    start_step: int = 0,
    stop_step: int | None = None,
    teacher: CachedTeacher | None = None,
) -> Iterator[list[MicroBatch]]:
    """Yield the micro batches of each step, those of this process.

    Steps go on over epochs, each in an order of its own; what a step takes depends on seed and step alone. The shares
    of all processes' micro batches add up to 1, and make the loss of a step the mean over all its labels.

    Args:
        features: Those of the training set.
        options: How rows become batches.
        start_step: The first step to yield, from 0.
        stop_step: The step to stop before; None for no end.
        teacher: What a teacher gave ahead of time, which micro batches get; steps beyond it are its steps again.

    Raises:
        InputError: There are no rows, or one is longer than `tokens_per_batch`.
    """
    plan = _plan(features, options)
    for step in count(start_step) if stop_step is None else range(start_step, stop_step):
        if teacher is None:
            yield [batch for batch, _ in plan.micro_batches(step, numbered=False)]
        else:
            yield _with_teacher(plan, step % teacher.steps, teacher)


def _with_teacher(plan: Plan, step: int, teacher: CachedTeacher) -> list[MicroBatch]:
    """Return the micro batches of a step with what a teacher gave for them."""
    batches = plan.micro_batches(step, numbered=True)
    return [replace(batch, teacher=teacher.read(step, numbers)) for batch, numbers in batches if numbers is not None]


def numbered_batches(
    features: Features, options: BatchOptions, steps: Iterable[int]
) -> Iterator[tuple[int, list[NumberedBatch]]]:
    """Yield steps with their micro batches, whose tokens are numbered, to ask a teacher ahead of time.

    Args:
        features: Those of the training set.
        options: How rows become batches.
        steps: The steps, best in rising order.

    Raises:
        InputError: There are no rows, or one is longer than `tokens_per_batch`.
    """
    plan = _plan(features, options)
    for step in steps:
        yield step, plan.micro_batches(step, numbered=True)


def _plan(features: Features, options: BatchOptions) -> Plan:
    if not len(features):
        raise InputError("the training set has no rows; a step needs at least one")
    return PackedEpochs(features, options) if PackedEpochs.suit(features, options) else StepRows(features, options)
