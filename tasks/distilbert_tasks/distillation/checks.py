"""Whether a student can learn from a teacher: what is asked of both before a model is loaded."""

from __future__ import annotations

from typing import Any

from distilbert_common import DistilBertConfig
from distilbert_common.distillation import check_distillation, check_teacher
from distilbert_common.errors import InputError
from distilbert_common.training import DistillationOptions, EngineOptions
from distilbert_tasks.model_config import learned_task
from distilbert_tasks.model_files import ModelFiles
from distilbert_tasks.task import Task

__all__ = ["check_pair", "check_positions", "check_task", "check_vocabulary"]

SAMPLE = "Él said: naïve CAFÉS, 日本"
"""A text in which lower-casing, accents and characters of their own make a difference."""


def check_task(teacher: ModelFiles, task: Task) -> None:
    """Require a teacher that has learned the task.

    Raises:
        InputError: It has no head for it.
    """
    if teacher.head == task.head:
        return
    learned = learned_task(teacher.config)
    description = f"is a DistilBert{teacher.head}" if learned is None else f"was trained for {learned.name}"
    raise InputError(
        f"the teacher {teacher.source} {description}, and has no head for {task.name}, whose predictions a student "
        f"learns; fine-tune it first (distilbert finetune {teacher.source} --task {task.name} --train DATA --out "
        "TEACHER), and give the folder that is written as the teacher"
    )


def check_pair(teacher: ModelFiles, config: DistilBertConfig, task: Task, options: DistillationOptions) -> None:
    """Require a student of the teacher's vocabulary size, labels and, for the cosine term, width.

    Args:
        teacher: The teacher.
        config: That of the student.
        task: What it learns.
        options: How it learns.

    Raises:
        InputError: Something differs, or the options have no meaning.
    """
    check_distillation(task.head, config, EngineOptions(distillation=options), has_teacher=True)
    check_teacher(task.head, config, teacher.head, teacher.config, options)


def check_vocabulary(teacher: ModelFiles, tokenizer: Any, student: str | Any) -> None:
    """Require that two models cut texts into the same tokens.

    Args:
        teacher: The teacher.
        tokenizer: That of the student.
        student: What the student is called.

    Raises:
        InputError: They do not.
    """
    teacher_tokenizer = teacher.tokenizer()
    advice = "what they predict is about other tokens: give models of one vocabulary"
    teacher_vocab, student_vocab = teacher_tokenizer.get_vocab(), tokenizer.get_vocab()
    if teacher_vocab != student_vocab:
        token, number = min({*teacher_vocab.items()} ^ {*student_vocab.items()}, key=lambda pair: (pair[1], pair[0]))
        raise InputError(
            f"the vocabularies of {teacher.source} ({len(teacher_vocab):,} tokens) and {student} "
            f"({len(student_vocab):,}) differ, first in {token!r} as {number}; {advice}"
        )
    if teacher_tokenizer(SAMPLE)["input_ids"] != tokenizer(SAMPLE)["input_ids"]:
        raise InputError(
            f"{teacher.source} and {student} have one vocabulary, and differ in lower-casing, accents or characters of "
            f"their own; {advice} and one tokenizer_config.json"
        )


def check_positions(teacher: ModelFiles, length: int) -> None:
    """Require that a teacher takes the longest row.

    Raises:
        InputError: It has fewer positions.
    """
    positions = teacher.config.max_position_embeddings
    if positions < length:
        raise InputError(
            f"a row has {length} tokens, and the teacher {teacher.source} takes {positions}; give a max_length "
            f"(--max-length) of {positions} or less"
        )
