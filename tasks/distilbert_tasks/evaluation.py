"""Evaluation: a model and labeled data in, metrics out; the same digits in every framework."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distilbert_common import DistilBertConfig
from distilbert_common.files import local_path, write_text
from distilbert_common.user_warnings import warn_user
from distilbert_tasks.batches import BatchOptions, Layout
from distilbert_tasks.data import DataOptions
from distilbert_tasks.decoding import SpanOptions
from distilbert_tasks.engines import compiles_each_shape, inference_module
from distilbert_tasks.extras import require_train_extra
from distilbert_tasks.features import FeatureOptions
from distilbert_tasks.measure import measure
from distilbert_tasks.metrics import Scores, class_table
from distilbert_tasks.model_config import folder_of, learned_task, task_of
from distilbert_tasks.pipelines.loading import framework_for
from distilbert_tasks.preparation import data_options_for, prepare
from distilbert_tasks.task import Task, find_task
from distilbert_tasks.training.progress import OnProgress, ignore
from distilbert_tasks.training.report import write_confusion

__all__ = ["evaluate", "evaluate_scores"]


def evaluate(model: str | Path, *, data: Any, report: str | Path | None = None, **options: Any) -> dict[str, float]:
    """Measure a model on labeled data.

    Args:
        model: A directory, a weights file or a hub id, in any dialect.
        data: A file, several, a pattern, the id of a data set on the hub, or a `datasets.Dataset`.
        report: A folder to write `metrics.json`, the scores of each class and the confusion matrix to.
        **options: As `evaluate_scores` takes them.

    Returns:
        The metrics by name.

    Raises:
        DistilBertError: Something that was given cannot be used; the message says what, and what to do.
    """
    scores = evaluate_scores(model, data=data, **options)
    if report is not None:
        _write(scores, local_path(report))
    return dict(scores.metrics)


def evaluate_scores(
    model: str | Path,
    *,
    data: Any,
    task: str | None = None,
    framework: str | None = None,
    device: str = "auto",
    columns: Mapping[str, str | Sequence[str]] | None = None,
    data_options: DataOptions | None = None,
    feature_options: FeatureOptions | None = None,
    span_options: SpanOptions | None = None,
    layout: Layout = "packed",
    tokens_per_batch: int | None = None,
    dtype: str | None = "float32",
    on_progress: OnProgress | None = None,
) -> Scores:
    """Return what a model scores on labeled data: metrics, each class, and which class was taken for which.

    Args:
        model: A directory, a weights file or a hub id, in any dialect.
        data: As `evaluate` takes it.
        task: The task, by any of its names; None for the one that the model's config names.
        framework: "pt", "tf", "flax", or "onnx" for the folder of an export; None for "onnx" where there is an export
            and no other model, else for the first one installed.
        device: "cpu", "gpu", or "auto" for the GPU if there is one.
        columns: The columns to take, by the task's names for them.
        data_options: How data is read; labels are the model's own, if nothing is said.
        feature_options: How examples become token lists.
        span_options: Which answers are looked for, in question answering.
        layout: "packed" puts several texts into one row, "padded" pads each.
        tokens_per_batch: About how many tokens go through the model at once; None for what suits the task.
        dtype: What is computed in; None for the checkpoint's own.
        on_progress: Who is told what was chosen.
    """
    require_train_extra("evaluation")
    BatchOptions(layout=layout, tokens_per_batch=tokens_per_batch)  # which refuses what these cannot be
    framework = framework or framework_for(model)
    engines = inference_module(framework)
    config = DistilBertConfig.from_pretrained(folder_of(model))
    chosen_task = task_of(config) if task is None else find_task(task)
    data_options = data_options or DataOptions()
    data_options = data_options_for(
        config, chosen_task, data_options if columns is None else replace(data_options, columns=columns)
    )
    tell = on_progress or ignore
    prepared = prepare(
        chosen_task, model, {"validation": data}, data_options, feature_options or FeatureOptions(), tell
    )
    loaded = engines.load_model(chosen_task.head, model, dtype=dtype)
    _warn_if_untrained(loaded, config, chosen_task)
    engine = engines.Engine(loaded, None, device)
    return measure(
        engine,
        prepared.data["validation"],
        prepared.features["validation"],
        config,
        layout=layout,
        few_shapes=compiles_each_shape(framework),
        tokens_per_batch=tokens_per_batch,
        spans=span_options,
    )


def _warn_if_untrained(model: Any, config: DistilBertConfig, task: Task) -> None:
    """Warn of a head that has learned nothing, or another task."""
    learned = learned_task(config)
    if model.load_report is not None and model.load_report.new_head:
        reason = f"the checkpoint has no {', '.join(model.load_report.new_head)}: the head is new"
    elif learned is not None and learned != task:
        reason = f"the model was trained for {learned.name}"
    else:
        return
    warn_user(f"{reason}, and its scores mean nothing until it is fine-tuned for {task.name}")


def _write(scores: Scores, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "metrics.json", json.dumps(scores.metrics, indent=2) + "\n")
    if scores.classes:
        write_text(folder / "classes.md", class_table(scores.classes) + "\n")
    write_confusion(scores, folder / "confusion_matrix.png")
