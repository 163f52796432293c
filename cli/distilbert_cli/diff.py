"""`distilbert diff`: what differs between two checkpoints, whatever frameworks wrote them."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from distilbert_cli.progress import progress_bar
from distilbert_cli.text import printable

if TYPE_CHECKING:
    from distilbert_conversion import CheckpointDiff, TensorDiff

__all__ = ["describe", "diff"]


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="Directory, weights file or hub id, in any dialect.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help="List the equal tensors too.")] = False,
) -> None:
    """Compare two checkpoints tensor by tensor; exit status 0 where all are equal, 1 where not."""
    from distilbert_conversion import diff as run

    with progress_bar("comparing") as progress:
        difference = run(a, b, progress=progress)
    typer.echo(json.dumps(describe(difference), indent=2)) if as_json else _show(difference, show_all)
    if not difference.equal:
        raise typer.Exit(1)


def describe(difference: CheckpointDiff) -> dict[str, Any]:
    """Return a comparison, ready for JSON, which has no infinity: it becomes the text "inf"."""
    tensors = [asdict(tensor) for tensor in difference.tensors]
    for tensor in tensors:
        for key in ("absolute", "relative"):
            tensor[key] = "inf" if tensor[key] == math.inf else tensor[key]
    return {
        "a": str(difference.a),
        "b": str(difference.b),
        "dialects": list(difference.dialects),
        "equal": difference.equal,
        "counts": difference.counts,
        "tied": list(difference.tied),
        "tensors": tensors,
    }


def _show(difference: CheckpointDiff, show_all: bool) -> None:
    """Print a table of what differs, then one line on what is equal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160  # wide enough for the longest name, so that a pipe gets one line for each tensor
    table = Table("tensor", "differs in", "A", "B")
    table.add_column("largest |a-b|", justify="right")
    table.add_column("|a-b|/|a|", justify="right")
    for tensor in difference.tensors:
        if show_all or tensor.status != "equal":
            cells = (tensor.status, *_sides(tensor), _figure(tensor.absolute), _figure(tensor.relative))
            table.add_row(Text(printable(tensor.name), overflow="fold"), *cells)
    if table.row_count:
        console.print(table)
    for line in _lines(difference):
        console.print(Text(printable(line)), soft_wrap=True)


def _lines(difference: CheckpointDiff) -> list[str]:
    """Return what is said below the table."""
    counts = difference.counts
    differing = ", ".join(f"{number} {status}" for status, number in counts.items() if number and status != "equal")
    differing = f"; differing: {differing}" if differing else ""
    tied = [f"tied, and stored on one side only: {', '.join(difference.tied)}"] if difference.tied else []
    return [
        f"A: {difference.a} ({difference.dialects[0]})",
        f"B: {difference.b} ({difference.dialects[1]})",
        *tied,
        f"{counts['equal']} of {len(difference.tensors)} tensors equal{differing}",
    ]


def _sides(tensor: TensorDiff) -> tuple[str, str]:
    """Return what a tensor is on both sides: shape and type."""
    sides = zip(tensor.shapes, tensor.dtypes, strict=True)
    one, other = ("-" if shape is None else f"{' x '.join(map(str, shape))} {dtype}" for shape, dtype in sides)
    return one, other


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
