"""`distilbert evaluate`: a model and labeled data in, metrics out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from distilbert_cli.arguments import (
    Columns,
    Device,
    FileFormat,
    Json,
    LabelAllPieces,
    Labels,
    LayoutName,
    LineByLine,
    MaxLength,
    MaxRows,
    MlmProbability,
    Model,
    ProblemType,
    Stride,
    Truncation,
    WholeWordMask,
    data_arguments,
    options_of,
)
from distilbert_cli.metrics_table import rounded, show_metrics
from distilbert_cli.stderr import capture_stderr
from distilbert_cli.training_arguments import one_or_list
from distilbert_cli.training_progress import training_progress

__all__ = ["evaluate"]


def evaluate(
    model: Model,
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help="Files, patterns or data sets with labels.")],
    task: Annotated[str, typer.Option(help="The task; the one that the model was trained for if not given.")] = "",
    framework: Annotated[str, typer.Option(help="pt, tf, flax, or onnx for an export.")] = "pt",
    device: Device = "auto",
    report: Annotated[
        Path | None, typer.Option(help="Folder to write metrics.json, classes.md and confusion_matrix.png to.")
    ] = None,
    as_json: Json = False,
    column: Columns = None,
    file_format: FileFormat = "",
    labels: Labels = "",
    problem_type: ProblemType = "",
    max_rows: MaxRows = None,
    max_length: MaxLength = None,
    doc_stride: Stride = None,
    truncation: Truncation = "longest_first",
    label_all_pieces: LabelAllPieces = False,
    line_by_line: LineByLine = False,
    mlm_probability: MlmProbability = 0.15,
    whole_word_mask: WholeWordMask = False,
    layout: LayoutName = "packed",
    tokens_per_batch: Annotated[int | None, typer.Option(help="Tokens that go through the model at once.")] = None,
) -> None:
    """Measure a model on labeled data; every framework prints the same digits."""
    arguments = dict(locals())
    from distilbert_tasks import evaluate as run
    from distilbert_tasks.data import DataOptions
    from distilbert_tasks.engines import inference_module
    from distilbert_tasks.features import FeatureOptions

    arguments |= data_arguments(column, file_format, labels, problem_type)
    with capture_stderr():
        inference_module(framework)
    with training_progress() as on_progress:
        metrics = run(
            model,
            data=one_or_list(data),
            report=report,
            task=task or None,
            framework=framework,
            device=device,
            data_options=options_of(DataOptions, arguments),
            feature_options=options_of(FeatureOptions, arguments),
            layout=layout,
            tokens_per_batch=tokens_per_batch,
            on_progress=on_progress,
        )
    typer.echo(json.dumps(rounded(metrics), indent=2)) if as_json else show_metrics({"value": metrics})
