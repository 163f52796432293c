"""`distilbert tune`: a search space in, the best of many runs of fine-tuning out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilbert_cli import arguments as shared
from distilbert_cli import cluster_arguments as on_ray
from distilbert_cli.arguments import reading_options
from distilbert_cli.metrics_table import DIGITS
from distilbert_cli.option_groups import with_options
from distilbert_cli.training_arguments import Out, Task, Train, Validation, ValidationShare, one_or_list
from distilbert_cli.training_progress import training_progress

if TYPE_CHECKING:
    from distilbert_deploy.scale import TuneResult

__all__ = ["tune"]


@with_options(shared.reading, on_ray.cluster)
def tune(
    model: shared.Model,
    space: Annotated[
        Path, typer.Argument(metavar="SPACE", help="File in YAML or JSON: what is tried; docs/scale.md has its form.")
    ],
    task: Task,
    train: Train,
    out: Out,
    validation: Validation = None,
    test: Annotated[list[str] | None, typer.Option(help="As --train; measured once, at the end of a trial.")] = None,
    framework: shared.FrameworkName = "pt",
    device: shared.Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the search in --out, if there is one.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the search in --out.")] = False,
    as_json: shared.Json = False,
    validation_share: ValidationShare = 0.1,
    seed: Annotated[int, typer.Option(help="What the choice of validation rows depends on.")] = 0,
    **options: Any,
) -> None:
    """Tune: fine-tune with many options of training, on Ray, and stop those that do badly.

    The folder that is written holds each trial as `finetune` writes it, tune.json and tune.png. --resume goes on.
    """
    from distilbert_deploy.scale import tune as run

    reading = reading_options({**options, "validation_share": validation_share, "seed": seed})
    with training_progress() as on_progress:
        result = run(
            task,
            model,
            space,
            train=one_or_list(train),
            validation=one_or_list(validation),
            test=one_or_list(test),
            out=out,
            framework=framework,
            device=device,
            cluster=on_ray.cluster_of(options),
            resume=resume,
            overwrite=overwrite,
            **reading,
            on_progress=on_progress,
        )
    if as_json:
        facts = {"path": str(result.path), "best": None if result.best is None else str(result.best)}
        typer.echo(json.dumps(facts | {"metric": result.metric, "trials": result.facts()}, indent=2))
    else:
        _show(result)


def _show(result: TuneResult) -> None:
    """Print a row for each trial, the best first, with the options in which they differ."""
    from rich.console import Console
    from rich.table import Table

    table = Table("trial", result.metric, "evaluations", "status", "options")  # which wrap, where columns would be cut
    for one in result.outcomes:
        value = one.best(result.metric)
        shown = "" if value is None else f"{value:.{DIGITS}f}"
        options = ", ".join(f"{name} {_figure(one.options[name])}" for name in result.searched)
        table.add_row(str(one.number), shown, str(len(one.points)), one.status, options)
    Console(highlight=False).print(table)
    where = "no trial came to its end" if result.best is None else f"the best model is in {result.best}"
    typer.echo(f"{result.path} holds tune.json and tune.png; {where}.")


def _figure(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
