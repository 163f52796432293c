"""The five tasks: what they are called, and which model does them."""

from __future__ import annotations

from dataclasses import dataclass

from distilbert_common.errors import InputError

__all__ = ["TASKS", "Task", "find_task"]


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        name: Its name in the pipelines of transformers.
        head: The end of its model's class name.
        aliases: Other names that it is known by.
        metric: The name of the metric by which the best checkpoint is chosen, if the user names none.
        higher_is_better: Whether more of that metric is better.
    """

    name: str
    head: str
    aliases: tuple[str, ...]
    metric: str
    higher_is_better: bool = True


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "text-classification",
            "ForSequenceClassification",
            ("sequence-classification", "sentiment-analysis"),
            "accuracy",
        ),
        Task("token-classification", "ForTokenClassification", ("ner",), "f1"),
        Task("question-answering", "ForQuestionAnswering", ("qa",), "f1"),
        Task("multiple-choice", "ForMultipleChoice", (), "accuracy"),
        Task("fill-mask", "ForMaskedLM", ("masked-lm", "mlm"), "perplexity", higher_is_better=False),
    )
}
"""The tasks by name."""


def find_task(name: str) -> Task:
    """Return a task by its name or another name of it.

    Raises:
        InputError: There is no such task.
    """
    for task in TASKS.values():
        if name in (task.name, task.head, *task.aliases):
            return task
    raise InputError(f"{name!r} is not a task; choose from {', '.join(TASKS)}")
