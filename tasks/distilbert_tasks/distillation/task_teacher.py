"""The teacher of a task: the second step of the paper, in which a student learns from a fine-tuned teacher.

Sanh et al., arXiv 1910.01108, section 4: on SQuAD the labels and the teacher's predictions count a half each.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from distilbert_common.errors import InputError
from distilbert_tasks.distillation.checks import check_pair, check_positions, check_task, check_vocabulary
from distilbert_tasks.distillation.options import task_distillation
from distilbert_tasks.model_files import ModelFiles, open_model
from distilbert_tasks.preparation import Prepared
from distilbert_tasks.task import Task
from distilbert_tasks.training.fingerprints import weights_fingerprint
from distilbert_tasks.training.options import TrainingOptions

__all__ = ["check_student", "open_teacher", "teacher_facts", "with_distillation"]


def with_distillation(options: TrainingOptions, teacher: str | Path | None, task: Task) -> TrainingOptions:
    """Return the options of a run that has a teacher, or none.

    Raises:
        InputError: It is said how to learn from a teacher, and there is none.
    """
    if teacher is None and options.distillation is not None:
        raise InputError(
            "it is said how to learn from a teacher (distillation), and there is none; give a teacher (--teacher), or "
            "leave that out"
        )
    if teacher is None or options.distillation is not None:
        return options
    return replace(options, distillation=task_distillation(task.name))


def open_teacher(teacher: str | Path, task: Task, temporary: Path) -> ModelFiles:
    """Look at the teacher of a task.

    Args:
        teacher: A directory, a weights file or a hub id.
        task: What it must have learned.
        temporary: As `open_model` takes it.

    Raises:
        InputError: It has not learned the task.
    """
    files = open_model(teacher, temporary)
    check_task(files, task)
    return files


def check_student(teacher: ModelFiles, student: ModelFiles, prepared: Prepared, options: TrainingOptions) -> None:
    """Require a student that can learn a task from a teacher.

    Args:
        teacher: The teacher.
        student: The student.
        prepared: The data, and the student's config with their labels.
        options: How to train, with `distillation`.

    Raises:
        InputError: Vocabulary, labels or width differ, or rows are too long for the teacher.
    """
    check_vocabulary(teacher, prepared.tokenizer, student.source)
    assert options.distillation is not None
    check_pair(teacher, prepared.config, prepared.task, options.distillation)
    check_positions(teacher, max(int(split.input_ids.sizes.max(initial=0)) for split in prepared.features.values()))


def teacher_facts(teacher: ModelFiles) -> dict[str, Any]:
    """Return what the record of a run says of a teacher."""
    sizes = {"teacher_layers": teacher.config.n_layers, "teacher_dim": teacher.config.dim}
    return {"teacher": str(teacher.source), "weights": weights_fingerprint(teacher.source), **sizes}
