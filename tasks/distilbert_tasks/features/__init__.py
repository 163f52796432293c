"""Features of each task, without a framework."""

from distilbert_tasks.features.features import Features, Ragged, SelectedRows
from distilbert_tasks.features.make import make_features
from distilbert_tasks.features.options import FeatureOptions, Progress

__all__ = ["FeatureOptions", "Features", "Progress", "Ragged", "SelectedRows", "make_features"]
