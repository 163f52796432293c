"""Comparing a teacher and its student: size, speed, scores and agreement."""

from distilbert_tasks.comparison.picture import draw_comparison
from distilbert_tasks.comparison.result import Comparison, ModelFigures
from distilbert_tasks.comparison.side_by_side import compare
from distilbert_tasks.comparison.speed import Speed

__all__ = ["Comparison", "ModelFigures", "Speed", "compare", "draw_comparison"]
