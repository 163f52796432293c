"""A model in the framework that a target needs, with the weights that the export is compared with."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import Any

from distilbert_conversion import save_checkpoint
from distilbert_deploy.weights import ModelWeights
from distilbert_tasks.engines import engine_module

__all__ = ["load_in"]


def load_in(framework: str, weights: ModelWeights, dtype: str = "float32") -> Any:
    """Return the model in a framework.

    Args:
        framework: "pt", "tf" or "flax".
        weights: The model.
        dtype: What its parameters are, and what it computes in.

    Raises:
        MissingFrameworkError: The framework is not installed.
    """
    engines = engine_module(framework)
    with TemporaryDirectory() as folder:
        save_checkpoint(folder, weights.arrays, weights.config, weights.head)
        return engines.load_model(weights.head, folder, config=weights.config, dtype=dtype)
