"""The config of a model for a task and its labels, and the tokenizer beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distilbert_common import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_common.files import local_path
from distilbert_tasks.data import TaskData
from distilbert_tasks.task import TASKS, Task

__all__ = ["config_for", "folder_of", "learned_task", "own_labels", "task_of"]


def folder_of(model: str | Path) -> str | Path:
    """Return where config and tokenizer of a model are: beside it, or above `onnx/`, where it is named by its file."""
    path = local_path(model)
    if not path.is_file():
        return model
    return path.parent.parent if path.suffix == ".onnx" and path.parent.name == "onnx" else path.parent


def task_of(config: DistilBertConfig) -> Task:
    """Return the task that a model was trained for.

    Raises:
        InputError: Its config does not say so, or it is a bare model.
    """
    if (task := learned_task(config)) is not None:
        return task
    architectures = _architectures(config)
    named = f"is of {', '.join(architectures)}" if architectures else "names no architectures"
    raise InputError(
        f"the config of the model {named}, which tells no task; name one of {', '.join(TASKS)}, or fine-tune the model"
    )


def learned_task(config: DistilBertConfig) -> Task | None:
    """Return the task that a model was trained for; None where its config does not say so."""
    names = _architectures(config)
    return next((task for task in TASKS.values() if any(name.endswith(task.head) for name in names)), None)


def _architectures(config: DistilBertConfig) -> list[str]:
    return [str(name) for name in getattr(config, "architectures", None) or ()]


def own_labels(config: DistilBertConfig, task: Task) -> tuple[str, ...] | None:
    """Return the names of the labels that a model has learned for a task; None where it has none."""
    if task.name not in ("text-classification", "token-classification"):
        return None
    if not any(name.endswith(task.head) for name in _architectures(config)) or config.problem_type == "regression":
        return None
    if task.name == "text-classification" and config.num_labels == 1:
        return None  # one number, as the models themselves take it
    return tuple(str(config.id2label[index]) for index in range(config.num_labels))


def config_for(config: DistilBertConfig, task: Task, data: TaskData) -> DistilBertConfig:
    """Return a config with the labels of the data, and the name of the class that does the task.

    Args:
        config: That of the model to begin with.
        task: The task.
        data: What it is to learn.
    """
    changes: dict[str, Any] = {"architectures": [f"DistilBert{task.head}"], "problem_type": data.problem_type}
    if data.problem_type == "regression":
        changes |= _labels(tuple(data.labels or ("LABEL_0",)))
    elif data.labels is not None:
        changes |= _labels(tuple(data.labels))
    elif task.name == "question-answering":
        changes |= _labels(("LABEL_0", "LABEL_1"))  # start and end
    return config.updated(**changes)


def _labels(names: tuple[str, ...]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
