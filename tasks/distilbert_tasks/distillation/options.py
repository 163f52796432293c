"""How a student is trained, if nothing is said: as the authors of DistilBERT trained it, and theirs of a task."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from distilbert_common.training import DistillationOptions
from distilbert_tasks.task import find_task
from distilbert_tasks.training.options import TrainingOptions

__all__ = ["default_options", "task_distillation"]


def default_options() -> TrainingOptions:
    """Return how a masked LM is distilled: the published figures of Sanh et al., with larger parts of a step."""
    return TrainingOptions(
        learning_rate=5e-4,
        betas=(0.9, 0.98),
        epsilon=1e-6,
        max_grad_norm=5.0,
        warmup_ratio=0.05,
        batch_size=250,
        accumulation=10,
        distillation=DistillationOptions(),
    )


def task_distillation(task: str, **changes: Any) -> DistillationOptions:
    """Return how a task is learned from a teacher: as in the paper, where on SQuAD predictions and labels count a half.

    Args:
        task: The task, by any of its names.
        **changes: Fields of the options that differ; None for those that do not.
    """
    chosen = {name: value for name, value in changes.items() if value is not None}
    if find_task(task).name == "fill-mask":
        return replace(DistillationOptions(), **chosen)
    return replace(DistillationOptions(alpha_ce=0.5, alpha_task=0.5, alpha_cos=0.0), **chosen)
