"""Features of each task, without a framework."""

from distilbert_tasks.features.features import Features, Ragged
from distilbert_tasks.features.make import make_features
from distilbert_tasks.features.options import FeatureOptions, Progress

__all__ = ["FeatureOptions", "Features", "Progress", "Ragged", "make_features"]
