"""A teacher and its student side by side: how large, how fast, how good, and how often they say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distilbert_common.errors import InputError
from distilbert_common.training import DistillationOptions
from distilbert_conversion import Source, expected
from distilbert_tasks.comparison.agreement import agreement
from distilbert_tasks.comparison.picture import draw_comparison
from distilbert_tasks.comparison.result import Comparison, ModelFigures
from distilbert_tasks.comparison.speed import Speed, random_features, speeds
from distilbert_tasks.data import DataOptions
from distilbert_tasks.decoding import SpanOptions
from distilbert_tasks.distillation.checks import check_pair, check_vocabulary
from distilbert_tasks.engines import compiles_each_shape, engine_module
from distilbert_tasks.extras import require_train_extra
from distilbert_tasks.features import FeatureOptions, Features
from distilbert_tasks.measure import split_outputs
from distilbert_tasks.metrics import score
from distilbert_tasks.model_files import ModelFiles, open_model
from distilbert_tasks.preparation import Prepared, data_options_for, prepare
from distilbert_tasks.task import TASKS, Task
from distilbert_tasks.training.progress import Note, OnProgress, ignore

__all__ = ["compare"]


def compare(
    teacher: str | Path,
    student: str | Path,
    *,
    data: Any = None,
    framework: str = "pt",
    device: str = "cpu",
    data_options: DataOptions | None = None,
    feature_options: FeatureOptions | None = None,
    span_options: SpanOptions | None = None,
    plot: str | Path | None = None,
    on_progress: OnProgress | None = None,
) -> Comparison:
    """Compare two models of one task.

    Args:
        teacher: A directory, a weights file or a hub id, in any dialect, or a BERT.
        student: As `teacher`.
        data: Labeled data, as `evaluate` takes it; None to compare size and speed only.
        framework: "pt", "tf" or "flax".
        device: Where both are run: "cpu", "gpu", or "auto" for the GPU if there is one.
        data_options: How data is read; labels are the teacher's, if nothing is said.
        feature_options: How examples become token lists.
        span_options: Which answers are looked for, in question answering.
        plot: The PNG file to draw to.
        on_progress: Who is told what was chosen.

    Raises:
        InputError: The models are of two tasks, have other labels, or read texts otherwise.
    """
    require_train_extra("a comparison")
    engines, tell = engine_module(framework), on_progress or ignore
    with TemporaryDirectory() as temporary:
        models = [open_model(path, Path(temporary)) for path in (teacher, student)]
        task = _common_task(*models)
        prepared = None
        if data is not None:
            prepared = _prepare(task, models, data, data_options or DataOptions(), feature_options, tell)
        loaded = [engines.load_model(task.head, one.path, dtype="float32") for one in models]
    pair = [engines.Engine(model, None, device) for model in loaded]
    few_shapes = compiles_each_shape(framework)
    scores, same = _scores(pair, prepared, few_shapes, span_options)
    tell(Note("Both take turns on the same texts, to be timed."))
    texts = _random_texts(task, models) if prepared is None else prepared.features["validation"]
    times = speeds(pair, texts, few_shapes=few_shapes)
    figures = [_figures(*facts) for facts in zip(models, times, scores, strict=True)]
    examples = 0 if prepared is None else len(prepared.data["validation"])
    result = Comparison(task.name, figures[0], figures[1], same, examples, framework, device)
    if plot is not None:
        draw_comparison(result, Path(plot))
    return result


def _random_texts(task: Task, models: Sequence[ModelFiles]) -> Features:
    """Return texts of random tokens that all models take."""
    configs = [one.config for one in models]
    vocab_size, positions = (
        min(int(getattr(config, name)) for config in configs) for name in ("vocab_size", "max_position_embeddings")
    )
    return random_features(task.name, vocab_size, positions)


def _common_task(teacher: ModelFiles, student: ModelFiles) -> Task:
    """Return the task of two models.

    Raises:
        InputError: They have two, or none.
    """
    by_head = {task.head: task for task in TASKS.values()}
    if teacher.head != student.head:
        raise InputError(
            f"{teacher.source} is a DistilBert{teacher.head}, and {student.source} a DistilBert{student.head}; "
            "give two models of one task"
        )
    if teacher.head not in by_head:
        raise InputError(
            f"{teacher.source} and {student.source} are bare models, which predict nothing; fine-tune both for a task "
            "(distilbert finetune), and compare these"
        )
    return by_head[teacher.head]


def _prepare(
    task: Task,
    models: Sequence[ModelFiles],
    data: Any,
    options: DataOptions,
    feature_options: FeatureOptions | None,
    tell: OnProgress,
) -> Prepared:
    """Return the data, for models that read it alike."""
    teacher, student = models
    check_vocabulary(teacher, student.tokenizer(), student.source)
    check_pair(teacher, student.config, task, DistillationOptions(alpha_cos=0.0))  # of any widths
    shorter = min(models, key=lambda one: int(one.config.max_position_embeddings))
    options = data_options_for(teacher.config, task, options)
    return prepare(task, shorter.path, {"validation": data}, options, feature_options or FeatureOptions(), tell)


def _scores(
    engines: Sequence[Any], prepared: Prepared | None, few_shapes: bool, spans: SpanOptions | None
) -> tuple[list[Mapping[str, float]], float | None]:
    """Return the metrics of each model, and the share of predictions that are the same."""
    if prepared is None:
        return [{} for _ in engines], None
    dataset, features, config = prepared.data["validation"], prepared.features["validation"], prepared.config
    outputs = [split_outputs(engine, features, few_shapes=few_shapes) for engine in engines]
    metrics = [score(features.task, dataset, features, one, config, spans).metrics for one in outputs]
    return list(metrics), agreement(dataset, features, outputs[0], outputs[1], config, spans)


def _figures(model: ModelFiles, speed: Speed, metrics: Mapping[str, float]) -> ModelFigures:
    config = model.config
    parameters = sum(prod(shape) for shape in expected(config, model.head).values())
    files, _ = Source.find(model.source).shards()
    nbytes = sum(file.stat().st_size for file in files)
    return ModelFigures(str(model.source), config.n_layers, config.dim, parameters, nbytes, speed, dict(metrics))
