"""Distillation: a small model learns from the predictions of a large one (Sanh et al., arXiv 1910.01108)."""

from distilbert_tasks.distillation.ahead import AheadOptions
from distilbert_tasks.distillation.masked_lm import DistilResult, distil
from distilbert_tasks.distillation.options import default_options
from distilbert_tasks.distillation.student import StudentOptions, alternate_layers

__all__ = ["AheadOptions", "DistilResult", "StudentOptions", "alternate_layers", "default_options", "distil"]
