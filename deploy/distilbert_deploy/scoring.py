"""What an export scores on labeled data, beside the model that it was made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distilbert_deploy.engine import OnnxEngine, OnnxModel
from distilbert_deploy.onnx_model import build_model
from distilbert_deploy.report import Scores
from distilbert_deploy.session import open_session
from distilbert_deploy.weights import ModelWeights
from distilbert_tasks.comparison.agreement import agreement
from distilbert_tasks.data import DataOptions
from distilbert_tasks.data.columns import Requested
from distilbert_tasks.extras import require_train_extra
from distilbert_tasks.features import FeatureOptions
from distilbert_tasks.measure import split_outputs
from distilbert_tasks.metrics import score
from distilbert_tasks.model_config import task_of
from distilbert_tasks.preparation import data_options_for, prepare
from distilbert_tasks.training.progress import OnProgress

__all__ = ["score_beside_source"]


def score_beside_source(
    weights: ModelWeights, file: Path, directory: Path, labeled: Any, columns: Requested, tell: OnProgress
) -> Scores:
    """Score an ONNX file and its source, both in ONNX Runtime, the source in float32.

    Args:
        weights: The source.
        file: The export.
        directory: Where config and tokenizer are.
        labeled: A file, several, a pattern, or a data set.
        columns: The columns to take, by the task's names for them; None to look for well-known ones.
        tell: Who is told what was chosen.

    Raises:
        InputError: The data cannot be read, or the model predicts nothing that could be scored.
    """
    require_train_extra("scoring an export")
    task = task_of(weights.config)
    options = data_options_for(weights.config, task, DataOptions(columns=columns))
    prepared = prepare(task, directory, {"validation": labeled}, options, FeatureOptions(), tell)
    dataset, features, config = prepared.data["validation"], prepared.features["validation"], prepared.config
    content = {"source": build_model(weights).SerializeToString(), "export": file}
    outputs, metrics = {}, {}
    for name, model in content.items():
        engine: Any = OnnxEngine(OnnxModel(weights.config, weights.head, file, open_session(model)))
        outputs[name] = split_outputs(engine, features, few_shapes=False)
        metrics[name] = dict(score(features.task, dataset, features, outputs[name], config, None).metrics)
    return Scores(metrics, agreement(dataset, features, outputs["source"], outputs["export"], config))
