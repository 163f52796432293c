"""Labels: their names in order, what kind they are, and the ids of rows."""

from distilbert_tasks.data.labels.resolve import Split, resolve_labels

__all__ = ["Split", "resolve_labels"]
