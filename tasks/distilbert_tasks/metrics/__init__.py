"""Metrics of each task."""

from distilbert_tasks.metrics.confusion import draw_confusion, largest_confusions
from distilbert_tasks.metrics.language import masked_token_scores
from distilbert_tasks.metrics.score import best_metric, score
from distilbert_tasks.metrics.scores import LESS_IS_BETTER, ClassScore, Confusion, Scores, class_table

__all__ = [
    "LESS_IS_BETTER",
    "ClassScore",
    "Confusion",
    "Scores",
    "best_metric",
    "class_table",
    "draw_confusion",
    "largest_confusions",
    "masked_token_scores",
    "score",
]
