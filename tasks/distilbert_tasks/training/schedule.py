"""The learning rate of each step, as the schedules of transformers give it."""

from __future__ import annotations

from math import ceil, cos, pi

from distilbert_tasks.training.options import TrainingOptions

__all__ = ["learning_rate_at", "warmup_steps"]


def warmup_steps(steps: int, options: TrainingOptions) -> int:
    """Return in how many of all steps the learning rate rises."""
    return options.warmup_steps or ceil(steps * options.warmup_ratio)


def learning_rate_at(step: int, steps: int, options: TrainingOptions) -> float:
    """Return the learning rate of a step.

    Args:
        step: Its number, from 0; with a warm-up, the first step's learning rate is 0.
        steps: How many there are in all.
        options: The highest learning rate, the warm-up, and what comes after it.
    """
    warmup = warmup_steps(steps, options)
    if step < warmup:
        return options.learning_rate * step / warmup
    if options.schedule == "constant":
        return options.learning_rate
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return options.learning_rate * (1 - done if options.schedule == "linear" else (1 + cos(pi * done)) / 2)
