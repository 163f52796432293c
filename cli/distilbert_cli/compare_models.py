"""`distilbert compare`: a teacher and its student side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilbert_cli import arguments as shared
from distilbert_cli.arguments import reading_options
from distilbert_cli.option_groups import with_options
from distilbert_cli.stderr import capture_stderr
from distilbert_cli.text import printable
from distilbert_cli.training_arguments import one_or_list
from distilbert_cli.training_progress import training_progress

if TYPE_CHECKING:
    from rich.table import Table

    from distilbert_tasks.comparison import Comparison

__all__ = ["compare", "comparison_table"]


@with_options(shared.reading)
def compare(
    teacher: Annotated[str, typer.Argument(metavar="TEACHER", help="Directory, weights file or hub id.")],
    student: Annotated[str, typer.Argument(metavar="STUDENT", help="A model of the same task.")],
    data: Annotated[
        list[str] | None, typer.Option(help="File, pattern or data set with labels; repeat it for several.")
    ] = None,
    framework: shared.FrameworkName = "pt",
    device: shared.Device = "cpu",
    as_json: shared.Json = False,
    plot: Annotated[Path | None, typer.Option(help="PNG file to draw to.")] = None,
    **options: Any,
) -> None:
    """Compare a teacher and its student: size, speed, scores, and how often they say the same."""
    from distilbert_tasks.comparison import compare as run

    reading = reading_options(options)
    with capture_stderr(), training_progress() as on_progress:
        result = run(
            teacher,
            student,
            data=one_or_list(data),
            framework=framework,
            device=device,
            **reading,
            plot=plot,
            on_progress=on_progress,
        )
    typer.echo(json.dumps(result.to_dict(), indent=2)) if as_json else _show(result)


def comparison_table(result: Comparison) -> Table:
    """Return what `Comparison.rows` says as a table."""
    from rich.table import Table

    table = Table(result.task, "teacher", "student", "")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in result.rows():
        table.add_row(*row)
    return table


def _show(result: Comparison) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    console.print(comparison_table(result))
    teacher, student = (escape(printable(model.path)) for model in (result.teacher, result.student))
    data = f"{result.examples:,} examples" if result.examples else "random tokens, as no data were given"
    where = f"in turns, {result.framework} on {result.device}"
    console.print(f"{teacher} and {student} on {data}, {where}.", soft_wrap=True)
