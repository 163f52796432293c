"""Data sets: what users have, as columns that each task knows."""

from distilbert_tasks.data.load import load_data
from distilbert_tasks.data.options import DataOptions
from distilbert_tasks.data.task_data import TaskData

__all__ = ["DataOptions", "TaskData", "load_data"]
