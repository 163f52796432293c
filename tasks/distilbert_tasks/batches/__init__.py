"""Batches: which rows each step takes, and the arrays that a model takes of them; the same in every framework."""

from distilbert_tasks.batches.evaluation import EvaluationBatch, collect_rows, collect_tokens, evaluation_batches
from distilbert_tasks.batches.numbered import CachedTeacher, NumberedBatch
from distilbert_tasks.batches.options import BatchOptions, Layout
from distilbert_tasks.batches.packed_epochs import ROW_LENGTH, best_row_length
from distilbert_tasks.batches.training import numbered_batches, steps_per_epoch, training_batches
from distilbert_tasks.randomness import epoch_order

__all__ = [
    "ROW_LENGTH",
    "BatchOptions",
    "CachedTeacher",
    "EvaluationBatch",
    "Layout",
    "NumberedBatch",
    "best_row_length",
    "collect_rows",
    "collect_tokens",
    "epoch_order",
    "evaluation_batches",
    "numbered_batches",
    "steps_per_epoch",
    "training_batches",
]
