"""Pipelines: texts in, answers out, with the names, arguments and results of transformers."""

from distilbert_tasks.pipelines.base import Pipeline
from distilbert_tasks.pipelines.factory import PIPELINES, pipeline

__all__ = ["PIPELINES", "Pipeline", "pipeline"]
