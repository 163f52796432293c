"""Fine-tune, evaluate and predict: five tasks, the same in PyTorch, Keras and Flax."""

from distilbert_tasks.task import TASKS, Task, find_task

__all__ = ["TASKS", "Task", "find_task"]
