"""Batches: which rows each step takes, and the arrays that a model takes of them; the same in every framework."""

from distilbert_tasks.batches.evaluation import EvaluationBatch, collect_rows, collect_tokens, evaluation_batches
from distilbert_tasks.batches.options import BatchOptions, Layout
from distilbert_tasks.batches.training import steps_per_epoch, training_batches
from distilbert_tasks.randomness import epoch_order

__all__ = [
    "BatchOptions",
    "EvaluationBatch",
    "Layout",
    "collect_rows",
    "collect_tokens",
    "epoch_order",
    "evaluation_batches",
    "steps_per_epoch",
    "training_batches",
]
