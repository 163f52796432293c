"""`distilbert evaluate`: a model and labeled data in, metrics out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from distilbert_cli import arguments as shared
from distilbert_cli.arguments import reading_options
from distilbert_cli.metrics_table import rounded, show_metrics
from distilbert_cli.option_groups import with_options
from distilbert_cli.stderr import capture_stderr
from distilbert_cli.training_arguments import one_or_list
from distilbert_cli.training_progress import training_progress

__all__ = ["evaluate"]


@with_options(shared.reading)
def evaluate(
    model: shared.Model,
    data: Annotated[list[str], typer.Argument(metavar="DATA...", help="Files, patterns or data sets with labels.")],
    task: Annotated[str, typer.Option(help="The task; the one that the model was trained for if not given.")] = "",
    framework: shared.InferenceFramework = "",
    device: shared.Device = "auto",
    report: Annotated[
        Path | None, typer.Option(help="Folder to write metrics.json, classes.md and confusion_matrix.png to.")
    ] = None,
    as_json: shared.Json = False,
    layout: shared.LayoutName = "packed",
    tokens_per_batch: Annotated[int | None, typer.Option(help="Tokens that go through the model at once.")] = None,
    **options: Any,
) -> None:
    """Measure a model on labeled data; every framework prints the same digits."""
    from distilbert_tasks import evaluate as run

    reading = reading_options(options)
    with capture_stderr(), training_progress() as on_progress:
        metrics = run(
            model,
            data=one_or_list(data),
            report=report,
            task=task or None,
            framework=framework or None,
            device=device,
            **reading,
            layout=layout,
            tokens_per_batch=tokens_per_batch,
            on_progress=on_progress,
        )
    typer.echo(json.dumps(rounded(metrics), indent=2)) if as_json else show_metrics({"value": metrics})
